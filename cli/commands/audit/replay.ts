import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from 'commander'
import type { ApiClient } from '../../client.js'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import type { Output } from '../../output.js'
import { Pace, parseSpeed, type Speed } from '../../replay/pace.js'
import { timelineCells } from '../../replay/timeline.js'
import { parseDuration } from '../arguments.js'
import { examples } from '../examples.js'
import { parseRecord } from './record.js'

interface ReplayOptions {
  readonly session?: string
  readonly device?: string
  readonly speed: Speed
  readonly pause: number
}

export function addReplay(audit: Command, { client, output }: Context): void {
  audit
    .command('replay')
    .description('a session as a recording: what the device said and heard, with every decision, in its own time')
    .addHelpText(
      'after',
      '\nTimes count from the first record of the session. → is what the device said, ← what it heard.' +
        '\n"touchmark sessions ls -o wide" and "touchmark audit search --event session.connect" name sessions.',
    )
    .addHelpText(
      'after',
      examples(
        'audit replay --device pump-7',
        'audit replay --session 0b54f6a0-9f0e-4d59-a01b-9d1a3b0a6a11 --speed 10x',
        'audit replay --device pump-7 --speed max -o json | jq .topic',
      ),
    )
    .option('--session <id>', 'which session')
    .option('--device <id>', 'the latest session of this device')
    .option('--speed <speed>', 'such as 0.5x or 10x, or max for without a pause', parseSpeed, 1)
    .option('--pause <duration>', 'no pause longer than this', parseDuration, 2)
    .action((options: ReplayOptions) => replay(client(), output(), options))
}

async function replay(client: ApiClient, output: Output, options: ReplayOptions): Promise<void> {
  const session = await sessionOf(client, options)
  const pace = new Pace(options.speed, options.pause * 1000)
  let last: string | undefined
  const begin = (event: string): void => {
    if (event !== 'session.connect') output.note('The session is older than what is kept: this is not its beginning.')
  }
  for await (const line of client.lines('searchAudit', { query: { session, order: 'oldest' } })) {
    const record = parseRecord(line)
    if (last === undefined) begin(record.event)
    const { pauseMs, offsetMs } = pace.next(Date.parse(record.time))
    if (pauseMs >= 1) await pause(pauseMs)
    output.item({ offsetMs, ...record }, timelineCells(record, offsetMs))
    last = record.event
  }
  if (last === undefined) throw new CliError('NOT_FOUND', `the log holds no records of a session ${session}`)
  if (last !== 'session.end') output.note('The session goes on; what is said from now on: audit tail -f')
}

async function sessionOf(client: ApiClient, { session, device }: ReplayOptions): Promise<string> {
  if ((session === undefined) === (device === undefined)) {
    throw new CliError('USAGE', 'expected either --session ID or --device ID')
  }
  if (session !== undefined) return session
  for (const narrowed of [{ event: 'session.connect', limit: '1' }, withoutBeginning]) {
    for await (const line of client.lines('searchAudit', { query: { device, ...narrowed } })) {
      const { session } = parseRecord(line)
      if (typeof session === 'string') return session
    }
  }
  throw new CliError('NOT_FOUND', `the log holds no session of ${device ?? ''}`)
}

/** A session can last longer than records are kept; its device has spoken not so many records ago. */
const withoutBeginning = { limit: '100' }
