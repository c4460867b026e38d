import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { dayKeyBytes } from './day-key.js'
import { formatDay } from './day.js'

/*
 * One place in a day's file of keys, of a fixed size so that it can be overwritten:
 * `[u8 length, device, zeros up to 64 bytes][u64 first sequence][12 bytes nonce][32 bytes key, AES-256-GCM][16 bytes tag]`.
 * A device has another slot after its key of that day was erased. Its key for a record is in the last slot, as they
 * stand in the file, that begins with that record or an earlier one.
 */

export interface KeySlot {
  readonly device: string
  /** Sequence number of the record that it was made for. */
  readonly from: number
}

const longestDevice = 64
const headBytes = 1 + longestDevice + 8
const nonceBytes = 12
const tagBytes = 16
const sealedBytes = nonceBytes + dayKeyBytes + tagBytes
export const slotBytes = headBytes + sealedBytes
/** Where in a slot the part begins that is overwritten. */
export const sealedAt = headBytes

/** What an erased key leaves. */
export const erased = Buffer.alloc(sealedBytes)

export function encodeSlot(wrappingKey: Uint8Array, day: number, slot: KeySlot, dayKey: Uint8Array): Buffer {
  const bytes = Buffer.alloc(slotBytes)
  const length = bytes.write(slot.device, 1, longestDevice, 'latin1')
  bytes.writeUInt8(length, 0)
  bytes.writeBigUInt64BE(BigInt(slot.from), 1 + longestDevice)
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', wrappingKey, nonce).setAAD(boundTo(day, bytes))
  bytes.set(Buffer.concat([nonce, cipher.update(dayKey), cipher.final(), cipher.getAuthTag()]), sealedAt)
  return bytes
}

/** @returns undefined for what is no slot: zeros that a crash left, or bytes that somebody else wrote */
export function decodeSlot(bytes: Buffer): KeySlot | undefined {
  const length = bytes[0] ?? 0
  const from = Number(bytes.readBigUInt64BE(1 + longestDevice))
  if (length === 0 || length > longestDevice || !Number.isSafeInteger(from)) return undefined
  return { device: bytes.toString('latin1', 1, 1 + length), from }
}

export function isErased(bytes: Buffer): boolean {
  return bytes.subarray(sealedAt).equals(erased)
}

/** @returns undefined when it was erased, is not of this day and wrapping key, or was changed */
export function unwrapSlot(wrappingKey: Uint8Array, day: number, bytes: Buffer): Buffer | undefined {
  const sealed = bytes.subarray(sealedAt)
  const wrapped = sealed.subarray(nonceBytes, -tagBytes)
  try {
    const opening = createDecipheriv('aes-256-gcm', wrappingKey, sealed.subarray(0, nonceBytes))
    opening.setAAD(boundTo(day, bytes)).setAuthTag(sealed.subarray(-tagBytes))
    return Buffer.concat([opening.update(wrapped), opening.final()])
  } catch {
    return undefined // of all that can be wrong only the tag is looked at
  }
}

/** A key that is moved to another device, day or place in the log opens nothing there. */
function boundTo(day: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`touchmark day key ${formatDay(day)}\0`), bytes.subarray(0, headBytes)])
}
