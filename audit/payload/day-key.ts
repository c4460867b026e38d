import { createHmac, hash, hkdfSync } from 'node:crypto'
import { commitmentBytes } from '../entries/commitment-room.js'
import { messagePlaceBytes } from './message-place.js'
import { lengthBytes } from './payload-buffer.js'

export const dayKeyBytes = 32

/** SHA-256 works on so many bytes at a time; RFC 2104 pads keys to that. */
const blockBytes = 64

/**
 * The key of one device and one day, ready to commit. r = HMAC-SHA256(k_c, place) as message-place.ts has it, and the
 * commitment is SHA-256(r ‖ u32 length ‖ payload): to show r opens one message and says nothing of any other. It is made
 * for every message, so the padded keys of the HMAC stand ready and each hash is one call.
 */
export class DayKey {
  /** k_e, which encrypts what is stored. */
  readonly encryptionKey: Buffer
  readonly #inner: Buffer
  readonly #outer: Buffer

  constructor(dayKey: Uint8Array) {
    const committing = derive(dayKey, 'commit')
    this.encryptionKey = derive(dayKey, 'encrypt')
    this.#inner = Buffer.concat([padded(committing, 0x36), Buffer.alloc(messagePlaceBytes)])
    this.#outer = Buffer.concat([padded(committing, 0x5c), Buffer.alloc(commitmentBytes)])
  }

  /** Fills r into an opening, `[room for r][u32 length][payload]`, and gives the commitment as a string of bytes (latin1). */
  commit(opening: Buffer, place: Uint8Array): string {
    this.#inner.set(place, blockBytes)
    this.#outer.write(hash('sha256', this.#inner, 'binary'), blockBytes, 'latin1')
    opening.write(hash('sha256', this.#outer, 'binary'), 0, 'latin1')
    return hash('sha256', opening, 'binary')
  }
}

/** r of one message: what its opening begins with. */
export function blindingOf(dayKey: Uint8Array, place: Uint8Array): Buffer {
  return createHmac('sha256', derive(dayKey, 'commit')).update(place).digest()
}

/** What a record says of a payload, made from what a third party is shown. */
export function commitmentOf(blinding: Uint8Array, payload: Uint8Array): Buffer {
  const length = Buffer.alloc(lengthBytes)
  length.writeUInt32BE(payload.length)
  return hash('sha256', Buffer.concat([blinding, length, payload]), 'buffer')
}

function derive(dayKey: Uint8Array, purpose: 'commit' | 'encrypt'): Buffer {
  return Buffer.from(hkdfSync('sha256', dayKey, '', purpose, dayKeyBytes))
}

/** RFC 2104 §2 */
function padded(key: Uint8Array, pad: number): Buffer {
  const block = Buffer.alloc(blockBytes)
  for (let at = 0; at < blockBytes; at++) block[at] = pad ^ (key[at] ?? 0)
  return block
}
