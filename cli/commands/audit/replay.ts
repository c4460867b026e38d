import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Act } from '#protocol'
import type { ApiClient } from '../../client.js'
import type { Context } from '../../context.js'
import { readCredential } from '../../credential.js'
import { CliError } from '../../errors.js'
import type { Output } from '../../output.js'
import { Pace, paced, parseSpeed, type Speed } from '../../replay/pace.js'
import { findSession, howItStands, noRecords, noteBeginning, recordsOf } from '../../replay/recording.js'
import { type Resend, resend } from '../../replay/resend.js'
import { parseAddress, readTarget, type TargetOptions } from '../../replay/target.js'
import { timelineCells } from '../../replay/timeline.js'
import { parseDuration } from '../arguments.js'
import { examples } from '../examples.js'
import { itemPrinter } from './printer.js'
import type { Record } from './record.js'

interface ReplayOptions extends Partial<TargetOptions>, Act {
  readonly session?: string
  readonly device?: string
  readonly speed: Speed
  readonly pause?: number
  readonly toOwn?: true
  readonly clientId?: string
  readonly protocol?: '5' | '3.1.1'
  readonly topicPrefix?: string
  readonly placeholder?: true
  readonly withDenied?: true
}

/** Longer nobody looks at nothing. */
const longestPauseSeconds = 2

const sendingHelp = `
With --to the device's part is done again at that broker: CONNECT under its client id with a clean session; then, in the
recorded order and time, the messages and subscriptions that policy allowed it, with the same topics, QoS and RETAIN, and
DISCONNECT. What arrives for the subscriptions is shown. A will that was published is a message like the others.
Properties of MQTT 5 are not recorded and so not sent.
Payloads come from the server, where audit.payload: store kept them, and each one that is read is on record. Where one is
missing none is made up: nothing is sent at all, or of more than 10,000 messages (64 MiB) nothing from there on.
A broker of the installation that made the log is refused; see --to-own. Ctrl-C says goodbye to the broker.
Exit codes: 0 all was taken; 7 the broker refused some of it; 4 it does not let us in; 6 it cannot be reached, is not
trusted or ended the connection; 3 no such session, or a payload is missing; 2 bad usage; 130 interrupted.`

export function addReplay(audit: Command, { client, output, settings }: Context): void {
  audit
    .command('replay')
    .description('a session as a recording: what the device said and heard, with every decision, in its own time')
    .addHelpText(
      'after',
      '\nTimes count from the first record of the session. → is what the device said, ← what it heard.' +
        '\n"touchmark sessions ls -o wide" and "touchmark audit search --event session.connect -o wide" name sessions.',
    )
    .addHelpText('after', sendingHelp)
    .addHelpText(
      'after',
      examples(
        'audit replay --device pump-7',
        'audit replay --session 5f0c3a9d1be24c7788aa --speed 10x',
        'audit replay --device pump-7 --speed max -o json | jq .topic',
        'audit replay --device pump-7 --to mqtt://localhost --topic-prefix replay/',
        'audit replay --device pump-7 --to mqtts://staging.example:8883 --ca ca.pem --cert pump-7.pem --key pump-7.key',
      ),
    )
    .option('--session <id>', 'which session')
    .option('--device <id>', 'the latest session of this device')
    .addOption(
      new Option('--speed <speed>', 'such as 0.5x or 10x, or max for without a pause')
        .argParser(parseSpeed)
        .default(1, '1x'),
    )
    .option(
      '--pause <duration>',
      `no pause longer than this (default: ${longestPauseSeconds}s; with --to as long as they were)`,
      parseDuration,
    )
    .optionsGroup('To do it again at a broker:')
    .option('--to <url>', 'which: mqtt://HOST[:1883], or mqtts://HOST[:8883] for TLS', parseAddress)
    .option('--ca <file>', 'PEM: who vouches for it (default: the authorities that Node.js knows)')
    .option('--cert <file>', 'PEM: certificate to show it')
    .option('--key <file>', 'PEM: its private key')
    .option('--username <name>', 'user name for CONNECT')
    .option('--password-file <file>', 'file with the password for CONNECT')
    .option('--client-id <id>', 'client id for CONNECT (default: the recorded one)')
    .addOption(
      new Option(
        '--protocol <version>',
        'version of MQTT (default: 5, or 3.1.1 where the broker speaks no other)',
      ).choices(['5', '3.1.1']),
    )
    .option('--topic-prefix <prefix>', 'put before every topic and filter, such as replay/', parsePrefix)
    .option('--placeholder', 'where a payload is missing, send a text of its size: "placeholder of 4711 placeholder …"')
    .option('--with-denied', 'also what policy refused; such payloads are never stored, so it needs --placeholder')
    .option('--to-own', 'also to a broker of the installation that made the log')
    .option('--comment <text>', 'why, for the audit log, where payloads are read')
    .action(async (options: ReplayOptions) => {
      const { to } = options
      if (to === undefined) {
        requireNothingToSend(options)
        return show(client(), output(), options)
      }
      const target = readTarget({ ...options, to })
      const notTo = options.toOwn ? undefined : readCredential(settings().identityFolder).ca
      await send(client(), output(), options, { target, notTo })
    })
}

async function show(client: ApiClient, output: Output, options: ReplayOptions): Promise<void> {
  const session = await findSession(client, options)
  const pace = paceOf(options, longestPauseSeconds)
  const print = itemPrinter(output)
  let last: Record | undefined
  for await (const { record, offsetMs } of paced(asItems(recordsOf(client, session)), pace)) {
    if (last === undefined) noteBeginning(output, record)
    print({ offsetMs, ...record }, () => timelineCells(record, offsetMs))
    last = record
  }
  if (last === undefined) noRecords(session)
  if (last.event !== 'session.end') output.note(await howItStands(client, last))
}

async function send(
  client: ApiClient,
  output: Output,
  options: ReplayOptions,
  where: Pick<Resend, 'target' | 'notTo'>,
): Promise<void> {
  const { clientId, protocol, comment, topicPrefix = '', placeholder = false, withDenied = false } = options
  await resend({
    ...{ client, output, ...where, placeholder, prefix: topicPrefix, denied: withDenied },
    ...(clientId !== undefined && { clientId }),
    ...(comment !== undefined && { comment }),
    ...(protocol !== undefined && { level: protocol === '5' ? 5 : 4 }),
    session: await findSession(client, options),
    pace: paceOf(options, Infinity),
  })
}

/** What has a meaning only where something is sent. */
const forSending = [
  ...(['ca', 'cert', 'key', 'username', 'passwordFile', 'clientId', 'protocol'] as const),
  ...(['topicPrefix', 'placeholder', 'withDenied', 'toOwn', 'comment'] as const),
]

/** @throws CliError USAGE */
function requireNothingToSend(options: ReplayOptions): void {
  const name = forSending.find((option) => options[option] !== undefined)
  if (name === undefined) return
  throw new CliError('USAGE', `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} needs --to`)
}

async function* asItems(records: AsyncIterable<Record>): AsyncIterable<{ readonly record: Record }> {
  for await (const record of records) yield { record }
}

function paceOf({ speed, pause }: ReplayOptions, longestPauseSeconds: number): Pace {
  return new Pace(speed, (pause ?? longestPauseSeconds) * 1000)
}

/** A level of its own: a filter that begins with a wildcard stays one behind it (MQTT 5.0 §4.7.1). */
function parsePrefix(text: string): string {
  if (/^[^+#\0$][^+#\0]*\/$/.test(text)) return text
  throw new InvalidArgumentError('expected a prefix without + and # that ends with /, such as replay/')
}
