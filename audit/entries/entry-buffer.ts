import type { AuditEvent } from '#protocol'
import { maxEntryBytes, type Place, writeEntry } from './entry.js'
import { headerBytes } from '../writing/wal.js'

const roomForOne = headerBytes + maxEntryBytes

/** Collects records, framed as the write-ahead log wants them, until they are taken as one batch. */
export class EntryBuffer {
  #buffer = Buffer.alloc(4 * roomForOne)
  #length = 0
  #since = 0

  get byteLength(): number {
    return this.#length
  }

  /** When the first of the records that it holds was appended. */
  get since(): number {
    return this.#since
  }

  /** @throws AuditError AUDIT_INVALID; then nothing was added */
  add(place: Place, event: AuditEvent): void {
    if (this.#buffer.length - this.#length < roomForOne) this.#double()
    const start = this.#length + headerBytes
    const end = writeEntry(this.#buffer, start, place, event)
    if (this.#length === 0) this.#since = place.time
    this.#buffer.writeUInt32BE(end - start, this.#length) // the checksum behind it is the writer's work
    this.#length = end
  }

  /** A copy of its own, so that it can be handed to another thread; the buffer is empty after it. */
  take(): ArrayBuffer {
    const records = new ArrayBuffer(this.#length)
    new Uint8Array(records).set(this.#buffer.subarray(0, this.#length))
    this.#length = 0
    return records
  }

  #double(): void {
    const larger = Buffer.alloc(2 * this.#buffer.length)
    larger.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = larger
  }
}
