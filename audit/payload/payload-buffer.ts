import type { AuditEvent } from '#protocol'
import type { Place } from '../entries/fields.js'
import { commitmentBytes } from '../entries/commitment-room.js'
import { dayOf } from './day.js'
import { messagePlaceBytes, writeMessagePlace } from './message-place.js'

/*
 * Payloads on their way to the writer's thread. Each stands there as the very bytes that its commitment is the hash of,
 * `[room for r][u32 length][payload]`, so that it is copied once and never again. In front of that stands what it
 * belongs to: `[u32 end of its entry][u32 day][24 bytes place][u8 whether to keep it][u8 length, device]`.
 */

type Publish = Extract<AuditEvent, { readonly event: 'message.publish' }>

/** The bytes in use at the front of a buffer that changes hands with them. */
export interface Payloads {
  readonly buffer: ArrayBuffer
  readonly length: number
}

/** One payload, and the entry in the same batch that commits to it. */
export interface PayloadFrame {
  readonly entryEnd: number
  readonly day: number
  /** See message-place.ts. */
  readonly place: Buffer
  readonly device: string
  /** False where it was refused: what it costs nothing to be refused must not fill a disk. */
  readonly keep: boolean
  /** What the commitment hashes, once r is filled in at its beginning. */
  readonly opening: Buffer
}

const placeAt = 8
const keepAt = placeAt + messagePlaceBytes
const fixedBytes = keepAt + 2
export const lengthBytes = 4
/** Before a payload, in what the commitment hashes. */
export const openingHeadBytes = commitmentBytes + lengthBytes

const leastBytes = 64 * 1024
const mostBytesAtFirst = 1024 * 1024

export class PayloadBuffer {
  #buffer = Buffer.alloc(0)
  #length = 0
  /** About as much as the last batch took will do for the next. */
  #likely = leastBytes

  get byteLength(): number {
    return this.#length
  }

  add({ entryEnd, place, event }: { entryEnd: number; place: Place; event: Publish }, payload: Uint8Array): void {
    const { device, session, sessionIndex } = event
    this.#reserve(fixedBytes + device.length + openingHeadBytes + payload.length)
    const buffer = this.#buffer
    let at = buffer.writeUInt32BE(entryEnd, this.#length)
    at = buffer.writeUInt32BE(dayOf(place.time), at)
    writeMessagePlace(buffer, at, { sequence: place.sequence, session, sessionIndex })
    at = buffer.writeUInt8(event.decision === 'allow' ? 1 : 0, at + messagePlaceBytes)
    at = buffer.writeUInt8(device.length, at)
    at += buffer.write(device, at, 'latin1')
    at = buffer.writeUInt32BE(payload.length, at + commitmentBytes)
    buffer.set(payload, at)
    this.#length = at + payload.length
  }

  /** Hands the buffer itself over, so that nothing of what was said stays behind here. */
  take(): Payloads | undefined {
    if (this.#length === 0) return undefined
    const taken = { buffer: this.#buffer.buffer, length: this.#length }
    this.#likely = Math.min(Math.max(this.#length, leastBytes), mostBytesAtFirst)
    this.#buffer = Buffer.alloc(0)
    this.#length = 0
    return taken
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length, this.#likely)) // a memory of its own
    larger.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = larger
  }
}

export function* payloadFrames({ buffer, length }: Payloads): Iterable<PayloadFrame> {
  const bytes = Buffer.from(buffer, 0, length)
  for (let at = 0; at < length;) {
    const deviceAt = at + fixedBytes
    const openingAt = deviceAt + (bytes[deviceAt - 1] ?? 0)
    const end = openingAt + openingHeadBytes + bytes.readUInt32BE(openingAt + commitmentBytes)
    yield {
      entryEnd: bytes.readUInt32BE(at),
      day: bytes.readUInt32BE(at + 4),
      place: bytes.subarray(at + placeAt, at + keepAt),
      keep: bytes[at + keepAt] === 1,
      device: bytes.toString('latin1', deviceAt, openingAt),
      opening: bytes.subarray(openingAt, end),
    }
    at = end
  }
}
