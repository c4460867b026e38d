import type { ApiClient } from '../client.js'
import { formatTime } from '../commands/arguments.js'
import { parseRecord, type Record } from '../commands/audit/record.js'
import { CliError } from '../errors.js'
import type { Output } from '../output.js'

export interface SessionChoice {
  readonly session?: string
  /** Its latest one. */
  readonly device?: string
}

/** The session that was chosen. @throws CliError USAGE, NOT_FOUND */
export async function findSession(client: ApiClient, { session, device }: SessionChoice): Promise<string> {
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

/** Says so where the recording has lost its beginning. */
export function noteBeginning(output: Output, { event }: Record): void {
  if (event !== 'session.connect') output.note('The session is older than what is kept: this is not its beginning.')
}

/** What has become of a session whose last record is not its end: none outlives the service that it was held with. */
export async function howItStands(client: ApiClient, { sequence }: Record): Promise<string> {
  const next = { event: 'server.start', order: 'oldest', after: String(sequence), limit: '1' }
  for await (const line of client.lines('searchAudit', { query: next })) {
    const again = formatTime(parseRecord(line).time)
    return `The session ended without a record of it: the service was broken off, and started again ${again}.`
  }
  return 'The session goes on; what is said from now on: audit tail -f'
}

/** What the log holds of a session so far, oldest first. */
export async function* recordsOf(client: ApiClient, session: string): AsyncIterable<Record> {
  for await (const line of client.lines('searchAudit', { query: { session, order: 'oldest' } })) yield parseRecord(line)
}

/** @throws CliError NOT_FOUND */
export async function lastRecordOf(client: ApiClient, session: string): Promise<Record> {
  for await (const line of client.lines('searchAudit', { query: { session, limit: '1' } })) return parseRecord(line)
  return noRecords(session)
}

/** @throws CliError NOT_FOUND */
export function noRecords(session: string): never {
  throw new CliError('NOT_FOUND', `the log holds no records of a session ${session}`)
}

/** Its place in the session. */
export function indexOf(record: Record): number {
  return Number(record['sessionIndex'])
}
