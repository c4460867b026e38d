import type { AuditMode } from '#protocol'
import type { LogState } from './writing/writer-connection.js'
import type { Room } from './writing/writer.js'

export interface Condition {
  readonly state: LogState
  /** Why nothing can be written, where it cannot. */
  readonly failure: string
  readonly mode: AuditMode
  readonly room: Room
  /** More waits for the disk than should. */
  readonly isBehind: boolean
  /** How many records are missing, in the mode `bestEffort`. */
  readonly unrecorded: number
}

/** What keeps a log from taking all that comes, for whoever looks after the service. */
export function problemOf({ state, failure, mode, room, isBehind, unrecorded }: Condition): string | undefined {
  const withoutRecords = `devices go on, ${unrecorded} records of what they did are missing`
  if (state === 'failed')
    return `the log cannot be written (${failure}); nothing new is acknowledged until the service is started again`
  if (state === 'suspended') return `the log cannot be written (${failure}); ${withoutRecords}`
  if (room === 'full')
    return mode === 'bestEffort'
      ? `the disk is full; ${withoutRecords}`
      : 'the disk is full; devices wait, and only what operators do is recorded'
  if (isBehind) return 'records wait for the disk'
  return room === 'unreserved' ? 'the disk has no room for the reserve of the log' : undefined
}
