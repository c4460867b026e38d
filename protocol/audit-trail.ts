import type { AuditEvent } from './audit.js'

/**
 * When a device may be answered. `strict`: once the record is on disk. `relaxed`: once it is queued for the disk, at the
 * price that a power cut takes away records of what was answered in a short, bounded time. `bestEffort`: at once, also
 * when nothing can be recorded; then `audit.gap` counts what is missing.
 */
export type AuditMode = 'strict' | 'relaxed' | 'bestEffort'

/**
 * The write side of the audit log, as the other rooms see it. `append` gives the event its place at once and in memory;
 * no device may be answered what the record promises before `answerable` has reached that place. What changes who may do
 * what (registry, certificates, policy) goes by `durable` in either mode.
 */
export interface AuditTrail {
  /**
   * The event's sequence number, or -1 where the mode lets it go without a record: that is answerable at once. What a
   * `message.publish` says is given beside it: the record commits to these bytes and does not hold them; they are copied
   * before it returns.
   * @throws CodedError AUDIT_FULL, AUDIT_CLOSED (it has failed or ended): then nothing may happen.
   */
  append(event: AuditEvent, payload?: Uint8Array): number
  /**
   * Devices may be answered up to and including this sequence number: `durable`, in the relaxed mode not far ahead of it,
   * and in the mode `bestEffort` whatever was appended.
   */
  readonly answerable: number
  /** Called after each advance of `answerable`, in order, and never inside `append`. Returns the way to stop listening. */
  onAnswerable(listener: (answerable: number) => void): () => void
  /** Every record up to and including this sequence number is on disk; -1 at first. */
  readonly durable: number
  /**
   * Resolves when `durable` has reached the sequence number; rejects with AUDIT_FAILED when it never will. To be asked in
   * the turn of `append`: after a failure that the log has survived another record can have that number.
   */
  whenDurable(sequence: number): Promise<void>
  /** Called after each advance of `durable`, in order. Returns the way to stop listening. */
  onDurable(listener: (durable: number) => void): () => void
  /**
   * True while the disk has no room: then `append` refuses all but the acts that a reserve is kept for, and the log is
   * congested until there is room again.
   */
  readonly full: boolean
  /** True while so much is waiting that sources should pause; listeners are told of each change. */
  readonly congested: boolean
  onCongestion(listener: (congested: boolean) => void): () => void
  /** False once nothing can be appended any more, until the process starts again. */
  readonly healthy: boolean
  /** Called once, when the log is closed or has failed (see `healthy`). Returns the way to stop listening. */
  onEnd(listener: () => void): () => void
}
