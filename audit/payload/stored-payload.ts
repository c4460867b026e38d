import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { DayKey } from './day-key.js'
import { gcmNonceBytes, gcmNonceOf, sequenceIn } from './message-place.js'
import { openingHeadBytes } from './payload-buffer.js'

/*
 * A payload as it is kept: `[u64 sequence][u32 length][12 bytes nonce][ciphertext][16 bytes tag]`, AES-256-GCM under k_e
 * of its device and day. What surrounds the payload is bound to it: moved to another record, or to another device's, it
 * does not open.
 */

/** Of the record that commits to it. */
export interface PayloadPlace {
  readonly device: string
  /** See message-place.ts. */
  readonly place: Buffer
}

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
export function sealPayload(whose: PayloadPlace, opening: Buffer, key: DayKey): readonly Buffer[] {
  const nonce = gcmNonceOf(whose.place)
  const head = Buffer.alloc(storedHeadBytes)
  head.set(whose.place.subarray(0, 8))
  head.writeUInt32BE(opening.length - openingHeadBytes, 8)
  head.set(nonce, 12)
  const cipher = createCipheriv('aes-256-gcm', key.encryptionKey, nonce).setAAD(boundTo(whose))
  const ciphertext = cipher.update(opening.subarray(openingHeadBytes))
  cipher.final()
  return [head, ciphertext, cipher.getAuthTag()]
}

export function decodeStoredHead(bytes: Buffer, at: number): StoredHead {
  return {
    sequence: sequenceIn(bytes.subarray(at)),
    length: bytes.readUInt32BE(at + 8),
    nonce: bytes.subarray(at + 12, at + storedHeadBytes),
  }
}

/** Whether it was stored for this record, and not for one that a crash took away before it was in the log. */
export function isStoredFor({ sequence, nonce }: StoredHead, { place }: PayloadPlace): boolean {
  return sequence === sequenceIn(place) && nonce.equals(gcmNonceOf(place))
}

/** @returns undefined when it is not what was stored */
export function openPayload(whose: PayloadPlace, body: Buffer, encryptionKey: Uint8Array): Buffer | undefined {
  try {
    const opening = createDecipheriv('aes-256-gcm', encryptionKey, gcmNonceOf(whose.place))
    opening.setAAD(boundTo(whose)).setAuthTag(body.subarray(-tagBytes))
    return Buffer.concat([opening.update(body.subarray(0, -tagBytes)), opening.final()])
  } catch {
    return undefined
  }
}

function boundTo({ device, place }: PayloadPlace): Buffer {
  return Buffer.concat([place, Buffer.from(device, 'latin1')])
}
