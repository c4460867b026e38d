import { createCipheriv, createDecipheriv } from 'node:crypto'
import { nonceBytes } from '../entries/commitment-room.js'
import type { DayKey } from './day-key.js'
import { openingHeadBytes } from './payload-buffer.js'

/*
 * A payload as it is kept: `[u64 sequence][u32 length][12 bytes nonce][ciphertext][16 bytes tag]`, AES-256-GCM under k_e
 * of its device and day. The nonce is the beginning of the record's own, which is as random and as new. What surrounds
 * the payload is bound to it: moved to another record, or to another device's, it does not open.
 */

/** Of the record that commits to it. */
export interface PayloadPlace {
  readonly sequence: number
  readonly device: string
  /** `payloadNonce` */
  readonly nonce: Uint8Array
}

const gcmNonceBytes = 12
const tagBytes = 16
export const storedHeadBytes = 8 + 4 + gcmNonceBytes
/** What a payload takes beyond its own length. */
export const storedExtraBytes = storedHeadBytes + tagBytes

export interface StoredHead {
  readonly sequence: number
  /** Of the payload. */
  readonly length: number
  readonly nonce: Buffer
}

/** Takes the payload as it stands behind the head of its opening. */
export function sealPayload(place: PayloadPlace, opening: Buffer, key: DayKey): readonly Buffer[] {
  const head = Buffer.alloc(storedHeadBytes)
  head.writeBigUInt64BE(BigInt(place.sequence))
  head.writeUInt32BE(opening.length - openingHeadBytes, 8)
  head.set(place.nonce.subarray(0, gcmNonceBytes), 12)
  const cipher = createCipheriv('aes-256-gcm', key.encryptionKey, head.subarray(12)).setAAD(boundTo(place))
  const ciphertext = cipher.update(opening.subarray(openingHeadBytes))
  cipher.final()
  return [head, ciphertext, cipher.getAuthTag()]
}

export function decodeStoredHead(bytes: Buffer, at: number): StoredHead {
  return {
    sequence: bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4),
    length: bytes.readUInt32BE(at + 8),
    nonce: bytes.subarray(at + 12, at + storedHeadBytes),
  }
}

/** Whether it was stored for this record, and not for one that a crash took away before it was in the log. */
export function isStoredFor({ sequence, nonce }: StoredHead, place: PayloadPlace): boolean {
  return sequence === place.sequence && nonce.equals(place.nonce.subarray(0, gcmNonceBytes))
}

/** @returns undefined when it is not what was stored */
export function openPayload(place: PayloadPlace, body: Buffer, encryptionKey: Uint8Array): Buffer | undefined {
  try {
    const opening = createDecipheriv('aes-256-gcm', encryptionKey, place.nonce.subarray(0, gcmNonceBytes))
    opening.setAAD(boundTo(place)).setAuthTag(body.subarray(-tagBytes))
    return Buffer.concat([opening.update(body.subarray(0, -tagBytes)), opening.final()])
  } catch {
    return undefined
  }
}

function boundTo({ sequence, device, nonce }: PayloadPlace): Buffer {
  const bytes = Buffer.alloc(8 + nonceBytes + device.length)
  bytes.writeBigUInt64BE(BigInt(sequence))
  bytes.set(nonce, 8)
  bytes.write(device, 8 + nonceBytes, 'latin1')
  return bytes
}
