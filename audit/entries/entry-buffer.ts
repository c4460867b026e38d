import type { AuditEvent } from '#protocol'
import type { Place } from './fields.js'
import { maxEntryBytes, writeEntry } from './write-entry.js'
import { type Payloads, PayloadBuffer } from '../payload/payload-buffer.js'
import { headerBytes } from '../writing/wal-record.js'

const roomForOne = headerBytes + maxEntryBytes

/** What goes to the writer at once. Both are the receiver's own. */
export interface Batch {
  /** Framed as the write-ahead log wants them. */
  readonly records: ArrayBuffer
  /** What some of them commit to. */
  readonly payloads?: Payloads
}

/** Collects records, and the payloads that they commit to, until they are taken as one batch. */
export class EntryBuffer {
  readonly #payloads = new PayloadBuffer()
  #buffer = Buffer.alloc(4 * roomForOne)
  #length = 0
  #since = 0

  get byteLength(): number {
    return this.#length + this.#payloads.byteLength
  }

  /** When the first of the records that it holds was appended. */
  get since(): number {
    return this.#since
  }

  /** With a payload only for a `message.publish`. @throws AuditError AUDIT_INVALID; then nothing was added */
  add(place: Place, event: AuditEvent, payload?: Uint8Array): void {
    if (this.#buffer.length - this.#length < roomForOne) this.#double()
    const start = this.#length + headerBytes
    const commits = payload !== undefined && event.event === 'message.publish'
    const end = writeEntry(this.#buffer, start, place, event, commits)
    if (commits) this.#payloads.add({ entryEnd: end, place, event }, payload)
    if (this.#length === 0) this.#since = place.time
    this.#buffer.writeUInt32BE(end - start, this.#length) // the checksum behind it is the writer's work
    this.#length = end
  }

  /** The buffer is empty after it. */
  take(): Batch {
    const records = new ArrayBuffer(this.#length)
    new Uint8Array(records).set(this.#buffer.subarray(0, this.#length))
    this.#length = 0
    const payloads = this.#payloads.take()
    return { records, ...(payloads && { payloads }) }
  }

  #double(): void {
    const larger = Buffer.alloc(2 * this.#buffer.length)
    larger.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = larger
  }
}
