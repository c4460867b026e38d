import { type Command, Option } from 'commander'
import type { Act, KickRequest, SessionView } from '#protocol'
import type { ApiClient } from '../client.js'
import type { Context } from '../context.js'
import { CliError, ServerRefusal } from '../errors.js'
import type { Column, Output } from '../output.js'
import { watch } from '../watch.js'
import { examples } from './examples.js'
import { commented, commentOption, formatBytes, formatRate, formatTime, parseDuration } from './arguments.js'

const columns: readonly Column<SessionView>[] = [
  { name: 'client id', of: (session) => session.clientId },
  { name: 'online', of: (session) => (session.connected ? 'yes' : 'no') },
  { name: 'address', of: (session) => session.peer },
  { name: 'mqtt', of: (session) => session.protocol ?? '' },
  { name: 'since', of: (session) => formatTime(session.since) },
  { name: 'subs', of: (session) => String(session.subscriptions.length) },
  { name: 'in/s', of: ({ rates }) => formatRate(rates.in) },
  { name: 'out/s', of: ({ rates }) => formatRate(rates.out) },
  { name: 'queue', of: (session) => String(session.queued) },
  { name: 'last refusal', of: ({ lastRefusal: last }) => (last ? `${last.action} ${last.topic}: ${last.reason}` : '') },
  { name: 'refused at', of: ({ lastRefusal: last }) => (last ? formatTime(last.at) : ''), wide: true },
  { name: 'device', of: (session) => session.device, wide: true },
  { name: 'over', of: (session) => session.transport ?? '', wide: true },
  { name: 'in', of: ({ messages, bytes }) => `${messages.in} (${formatBytes(bytes.in)})`, wide: true },
  { name: 'out', of: ({ messages, bytes }) => `${messages.out} (${formatBytes(bytes.out)})`, wide: true },
  { name: 'queue bytes', of: (session) => String(session.queuedBytes), wide: true },
  { name: 'session', of: (session) => session.session, wide: true },
  {
    name: 'subscriptions',
    of: (session) => session.subscriptions.map(({ filter, qos }) => `${filter} (${qos})`).join(' '),
    wide: true,
  },
]

interface ListOptions {
  readonly query?: string
  readonly watch?: true
  readonly interval: number
}

interface KickOptions extends Act {
  readonly forget?: true
  readonly dryRun?: true
}

export function addSessions(program: Command, { client, output }: Context): void {
  const sessions = program.command('sessions').description('MQTT sessions: who is connected, and how it goes')

  sessions
    .command('ls')
    .description('every session that is connected or kept for a device that will come back')
    .addHelpText(
      'after',
      '\nin/s and out/s are messages a second from and to the device, over the last 10 seconds or so.' +
        '\nA query knows label.NAME=VALUE (of the device), is:online, is:waiting and is:refused; "-" before one turns it round.',
    )
    .addHelpText(
      'after',
      examples(
        'sessions ls',
        'sessions ls -w',
        "sessions ls -q 'label.site=oslo is:online'",
        "sessions ls -q 'is:waiting -is:online' -o wide",
        'sessions ls -w -o json | jq .sessions[].rates',
      ),
    )
    .option('-q, --query <query>', "such as 'label.site=oslo is:online -is:refused'")
    .option('-w, --watch', 'show it anew all the time, until Ctrl-C')
    .addOption(new Option('--interval <duration>', 'how often with --watch').argParser(parseDuration).default(2, '2s'))
    .action(async ({ query, watch: watching, interval }: ListOptions) => {
      const list = () => client().call('listSessions', { query: { q: query } })
      if (!watching) return output().list(await list(), columns)
      const read = async () => ({ sessions: await list() })
      await watch(output(), {
        read,
        columns,
        rows: ({ sessions }) => sessions,
        seconds: Math.min(Math.max(interval, 1), 3600),
      })
    })

  sessions
    .command('kick')
    .argument('<client-id...>')
    .description('end the connection of sessions; their wills are published, and the devices may come back at once')
    .addHelpText('after', '\nTo keep a device out, revoke it: touchmark devices revoke.')
    .addHelpText(
      'after',
      examples(
        'sessions kick pump-7',
        "sessions kick pump-7~sub pump-9 --comment 'stuck since the update'",
        'sessions kick pump-7 --forget --dry-run',
      ),
    )
    .option(...commentOption)
    .option('--forget', 'also what is kept: subscriptions and waiting messages')
    .option('--dry-run', 'only say what it would end')
    .action((ids: readonly string[], options: KickOptions) =>
      options.dryRun ? preview(client(), output(), ids, options) : kick(client(), output(), ids, options),
    )
}

/** One after the other; one that cannot be kicked does not save the others. */
async function kick(client: ApiClient, output: Output, ids: readonly string[], options: KickOptions): Promise<void> {
  const body: KickRequest = { forget: options.forget ?? false, ...commented(options) }
  const answers = []
  const refusals: ServerRefusal[] = []
  for (const id of ids) {
    try {
      answers.push(await client.call('kickSession', { id, body }))
    } catch (error) {
      if (!(error instanceof ServerRefusal) || error.status >= 500) throw error
      refusals.push(error)
    }
  }
  if (answers.length > 0) {
    output.list(answers, [
      { name: 'client id', of: ({ clientId }) => clientId },
      { name: 'connection', of: ({ ended }) => (ended ? 'ended' : 'was away') },
      { name: 'session', of: ({ forgotten }) => (forgotten ? 'forgotten' : 'kept') },
      { name: 'messages removed', of: ({ purged }) => String(purged) },
    ])
  }
  const [first] = refusals
  if (first === undefined) return
  const told = answers.length === 0 ? refusals.slice(1) : refusals // what is thrown is told too
  for (const { message, code } of told) output.note(`${message} [${code}]`)
  if (answers.length === 0) throw first
  throw new CliError('PARTLY_DONE', `${answers.length} of ${ids.length} sessions were kicked`)
}

async function preview(
  client: ApiClient,
  output: Output,
  ids: readonly string[],
  { forget }: KickOptions,
): Promise<void> {
  const sessions = await client.call('listSessions')
  const found = ids.map((id) => {
    const session = sessions.find(({ clientId }) => clientId === id)
    if (session === undefined) throw new ServerRefusal(404, 'NOT_FOUND', `there is no session ${id}`)
    return session
  })
  output.list(found, [
    { name: 'client id', of: ({ clientId }) => clientId },
    { name: 'connection', of: ({ connected }) => (connected ? 'would end' : 'is away') },
    { name: 'session', of: () => (forget ? 'would be forgotten' : 'would be kept') },
    { name: 'messages removed', of: ({ queued }) => String(forget ? queued : 0) },
  ])
  output.note('Nothing was changed (--dry-run).')
}
