import { type Command, Option } from 'commander'
import {
  type Act,
  formatLockTarget,
  type LockAnswer,
  type LockMode,
  lockModes,
  type LockRequest,
  type LockTarget,
  type LockView,
} from '#protocol'
import type { ApiClient } from '../client.js'
import type { Context } from '../context.js'
import { CliError } from '../errors.js'
import type { Column, Output } from '../output.js'
import { commented, commentOption, formatTime, parseCount, parseDuration } from './arguments.js'
import { enforcementRows, requireDone } from './enforcement.js'
import { examples } from './examples.js'
import { addLockHistory } from './lock-history.js'
import { addTargetOptions, type TargetOptions, targetOf } from './target.js'

/** Beyond so many devices a person has to say that they are meant. */
const askAbove = 10

const columns: readonly Column<LockView>[] = [
  { name: 'id', of: ({ id }) => id },
  { name: 'mode', of: modeOf },
  { name: 'on', of: ({ target }) => formatLockTarget(target) },
  { name: 'devices', of: ({ devices }) => String(devices) },
  { name: 'since', of: ({ at }) => formatTime(at) },
  { name: 'until', of: ({ notAfter }) => formatTime(notAfter ?? '') },
  { name: 'by', of: ({ by }) => by },
  { name: 'reason', of: ({ reason }) => reason },
  { name: 'revision', of: ({ revision }) => String(revision), wide: true },
]

interface AddOptions extends TargetOptions {
  readonly mode: LockMode
  readonly ttl?: number
  readonly reason: string
  readonly dryRun?: true
  readonly yes?: true
  readonly askAbove: number
}

export function addLocks(program: Command, context: Context): void {
  const { client, output, typed } = context
  const locks = program
    .command('locks')
    .alias('lock')
    .description('keep devices out, now and until they are let in again')

  const add = locks
    .command('add')
    .description('end sessions now, and let nobody whom it is on connect, join or renew')
    .addHelpText(
      'after',
      '\nWhen it returns it acts: connections are closed, wills dropped, waiting messages gone. Nothing waits for a disk;' +
        '\nif the audit log could not record it, it says so and ends with 7. With --mode revoke the certificates of all' +
        '\ndevices that it is on now are revoked for good as well; removing the lock does not bring them back.',
    )
    .addHelpText(
      'after',
      examples(
        "locks add --device pump-7 --reason 'box was found open'",
        "locks add --labels site=oslo --reason 'break-in' --dry-run",
        "locks add --labels site=oslo,line=4 --ttl 2h --reason 'maintenance' --yes",
        "locks add --device pump-7 --mode quarantine --reason 'reports nonsense'",
        "locks add --address 192.0.2.0/24 --reason 'scans from there'",
        "locks add --token 5a1b2c3d4e5f6071 --mode revoke --reason 'the token was in a repository'",
      ),
    )
  addTargetOptions(add)
  add
    .addOption(
      new Option('--mode <mode>', 'quarantine: stays connected, for repair only; revoke: also for good')
        .choices(lockModes)
        .default('lock'),
    )
    .addOption(new Option('--ttl <duration>', 'ends by itself after so long, such as 2h').argParser(parseDuration))
    .requiredOption('--reason <text>', 'why, for the audit log and for whoever finds the lock')
    .option('--dry-run', 'only say how many devices and connections it would be on')
    .option('--yes', 'do not ask')
    .addOption(
      new Option('--ask-above <count>', 'ask when it is on more devices').argParser(parseCount).default(askAbove),
    )
    .action(async (options: AddOptions) => {
      const target = targetOf(options)
      if (options.dryRun) return preview(output(), target, await ask(client(), target, { ...options, dryRun: true }))
      if (options.yes === undefined) await confirm(client(), typed, target, options)
      report(output(), target, await ask(client(), target, options))
    })

  locks
    .command('ls')
    .description('every lock that acts')
    .addHelpText('after', examples('locks ls', 'locks ls -o json'))
    .action(async () => output().list(await client().call('listLocks'), columns))

  locks
    .command('rm')
    .argument('<id>')
    .description('let in again whom a lock has kept out; what was revoked stays revoked')
    .addHelpText('after', examples("locks rm lock-5a1b2c3d4e --comment 'the box is closed again'"))
    .option(...commentOption)
    .action(async (id: string, why: Act) => {
      const removed = await client().call('removeLock', { id, query: { ...commented(why) } })
      output().one(removed, [
        ['removed', removed.id],
        ['was on', formatLockTarget(removed.target)],
      ])
    })

  addLockHistory(locks, context)
}

/** `quarantine (lock)`: the policy in force names no role for quarantine, so it keeps out. */
function modeOf({ mode, actsAs }: LockView): string {
  return actsAs === undefined ? mode : `${mode} (${actsAs})`
}

function ask(
  client: ApiClient,
  target: LockTarget,
  { mode, ttl, reason, dryRun }: Pick<AddOptions, 'mode' | 'ttl' | 'reason' | 'dryRun'>,
): Promise<LockAnswer> {
  const body: LockRequest = {
    ...{ target, mode, reason },
    ...(ttl !== undefined && { ttlSeconds: ttl }),
    ...(dryRun && { dryRun }),
  }
  return client.call('addLock', { body })
}

/** The number of devices is typed, and not a yes: who expected three sees that it is three hundred. */
async function confirm(
  client: ApiClient,
  typed: Context['typed'],
  target: LockTarget,
  options: AddOptions,
): Promise<void> {
  const { devices, sessions } = await ask(client, target, { ...options, dryRun: true })
  const many = Math.max(devices, sessions)
  if (many <= options.askAbove) return
  const question = `${formatLockTarget(target)} is on ${devices} devices, and ends ${sessions} connections`
  if (await typed(question, String(many))) return
  throw new CliError('USAGE', 'nothing was locked: something else was typed')
}

function preview(output: Output, target: LockTarget, answer: LockAnswer): void {
  output.one(answer, [
    ['would be on', formatLockTarget(target)],
    ['devices', String(answer.devices)],
    ['would end connections', String(answer.sessions)],
  ])
  output.note('Nothing was changed (--dry-run).')
}

function report(output: Output, target: LockTarget, answer: LockAnswer): void {
  output.one(answer, [
    ['lock', answer.lock?.id],
    ['on', formatLockTarget(target)],
    ['mode', answer.lock && modeOf(answer.lock)],
    ['devices', String(answer.devices)],
    ['until', answer.lock?.notAfter && formatTime(answer.lock.notAfter)],
    ...enforcementRows(answer),
  ])
  requireDone(answer, 'the lock')
}
