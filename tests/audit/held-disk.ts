import type { KeyObject } from 'node:crypto'
import type { TestContext } from 'node:test'
import type { AuditLog } from '#audit'
import type { AuditMode, AuditRecord } from '#protocol'
import { decodeEntry } from '../../audit/entries/read-entry.js'
import { recordsOf } from '../../audit/writing/wal-record.js'
import type { Room } from '../../audit/writing/writer.js'
import type { FromWriter } from '../../audit/writing/writer-service.js'
import { createWorld } from './world.js'

/** Answers for the writer, when the test says so. */
export interface HeldDisk {
  /** The log's. */
  clock: number
  /** How many were sent to the writer, and what they hold. */
  batches: number
  readonly records: AuditRecord[]
  /** How often the log was opened, and how many records it says to hold. */
  opened: number
  size: number
  /** What the writer that was opened last signs with. */
  signingKey: KeyObject | undefined
  /** The batch that was sent last is on disk, after so long (default: no time at all). */
  answer(seconds?: number): void
  has(room: Room): void
  fail(): void
}

export async function openOnHeldDisk(
  context: TestContext,
  mode: AuditMode,
): Promise<{ readonly log: AuditLog; readonly disk: HeldDisk }> {
  let receive: (message: FromWriter) => void = () => undefined
  const disk: HeldDisk = {
    clock: 1_700_000_000_000,
    batches: 0,
    records: [],
    opened: 0,
    size: 0,
    signingKey: undefined,
    answer: (seconds = 0) => receive({ kind: 'durable', seconds }),
    has: (room) => receive({ kind: 'room', room }),
    fail: () => receive({ kind: 'failed', code: 'AUDIT_FAILED', message: 'EIO: i/o error' }),
  }
  context.after(() => disk.fail()) // before the world waits for its logs to close
  const world = await createWorld(context)
  const log = await world.open({
    mode,
    now: () => disk.clock,
    connectWriter: ({ signingKey }, toLog) => {
      receive = toLog
      disk.signingKey = signingKey
      const nth = ++disk.opened
      queueMicrotask(() => toLog({ kind: 'opened', opened: { size: disk.size, checkpoint: '' } }))
      return {
        send(message) {
          if (message.kind === 'keys' && nth === disk.opened) disk.signingKey = message.signingKey
          if (message.kind !== 'batch') return
          disk.batches++
          for (const entry of recordsOf(Buffer.from(message.records))) disk.records.push(decodeEntry(entry))
        },
      }
    },
  })
  return { log, disk }
}

export async function endOfTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}
