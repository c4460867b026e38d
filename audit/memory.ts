import type { AuditEvent, AuditMode, AuditRecord, AuditTrail } from '#protocol'
import { Congestion } from './appending/congestion.js'
import { isReservedFor } from './appending/event-classes.js'
import { Progress } from './appending/progress.js'
import { maxEntryBytes, writeEntry } from './entries/write-entry.js'
import { AuditError } from './errors.js'

export interface MemoryAudit extends AuditTrail {
  /** Everything appended, durable or not. */
  readonly records: readonly AuditRecord[]
  /** What the messages said that a record would commit to, by its sequence number. */
  readonly payloads: ReadonlyMap<number, Uint8Array>
  /** From now on nothing becomes durable, as on a slow disk. */
  hold(): void
  /** All that was held becomes durable, and each record after it at once again. */
  release(): void
  /** As when the disk fails: waiters are refused, and so is every further append. */
  fail(): void
  /** As when a high-water mark is crossed, in either direction. */
  setCongested(congested: boolean): void
  /** As when the disk has no room for devices' records, or has it again. */
  setFull(full: boolean): void
}

export interface MemoryAuditOptions {
  /** Milliseconds since 1970. Default: always 0 */
  readonly now?: () => number
  /** All but `strict` answer before what is held becomes durable, for as long as it is held. Default: strict */
  readonly mode?: AuditMode
}

/** An audit trail that forgets when the process ends: the double for tests. */
export function createMemoryAudit({ now = () => 0, mode = 'strict' }: MemoryAuditOptions = {}): MemoryAudit {
  const records: AuditRecord[] = []
  const payloads = new Map<number, Uint8Array>()
  const durable = new Progress(-1)
  const answerable = mode === 'strict' ? durable : new Progress(-1)
  const congestion = new Congestion()
  const endListeners = new Set<() => void>()
  const scratch = Buffer.alloc(maxEntryBytes) // so that it refuses what the real log refuses
  let held = false
  let failed = false
  let full = false

  // Never inside append: with a real disk no listener runs before the caller has its sequence number.
  const advanceSoon = (): void => {
    queueMicrotask(() => {
      if (mode !== 'strict') answerable.advance(records.length - 1)
      if (!held) durable.advance(records.length - 1)
    })
  }

  return {
    records,
    payloads,
    append(event: AuditEvent, payload?: Uint8Array) {
      if (failed) throw new AuditError('AUDIT_CLOSED', 'the audit log has failed')
      if (full && !isReservedFor(event.event)) throw new AuditError('AUDIT_FULL', 'asked to be full')
      const place = { sequence: records.length, time: now() }
      writeEntry(scratch, 0, place, event)
      records.push({ ...event, ...place })
      if (payload) payloads.set(place.sequence, Uint8Array.from(payload))
      advanceSoon()
      return place.sequence
    },
    get answerable() {
      return answerable.reached
    },
    onAnswerable: (listener) => answerable.onAdvance(listener),
    get durable() {
      return durable.reached
    },
    whenDurable: (sequence) => durable.when(sequence),
    onDurable: (listener) => durable.onAdvance(listener),
    get full() {
      return full
    },
    get congested() {
      return congestion.on
    },
    onCongestion: (listener) => congestion.onChange(listener),
    get healthy() {
      return !failed
    },
    onEnd(listener) {
      endListeners.add(listener)
      return () => endListeners.delete(listener)
    },
    hold() {
      held = true
    },
    release() {
      held = false
      advanceSoon()
    },
    fail() {
      failed = true
      for (const progress of [answerable, durable]) progress.fail(new Error('asked to fail'))
      for (const listener of [...endListeners]) listener()
    },
    setCongested: (congested) => congestion.set(congested),
    setFull(value) {
      full = value
      congestion.set(value)
    },
  }
}
