import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import { type HashName, hashBytes } from '../structures/algorithms.js'

/** KDFa (Part 1 §11.4.10.2): SP 800-108 in counter mode, HMAC. The label is closed by a zero byte. */
export function kdfA(
  hash: HashName,
  key: Uint8Array,
  label: string,
  contextU: Uint8Array,
  contextV: Uint8Array,
  bytes: number,
): Uint8Array {
  const block = (counter: number): Hmac =>
    createHmac(hash, key)
      .update(uint32(counter))
      .update(`${label}\0`)
      .update(contextU)
      .update(contextV)
      .update(uint32(bytes * 8))
  return firstBytes(hash, block, bytes)
}

/** KDFe (Part 1 §11.4.10.3): SP 800-56A, from the x coordinate of an ECDH point and those of both parties' keys. */
export function kdfE(
  hash: HashName,
  sharedX: Uint8Array,
  label: string,
  partyUX: Uint8Array,
  partyVX: Uint8Array,
  bytes: number,
): Uint8Array {
  const block = (counter: number): Hash =>
    createHash(hash).update(uint32(counter)).update(sharedX).update(`${label}\0`).update(partyUX).update(partyVX)
  return firstBytes(hash, block, bytes)
}

function firstBytes(hash: HashName, block: (counter: number) => Hash | Hmac, bytes: number): Uint8Array {
  const blocks = Array.from({ length: Math.ceil(bytes / hashBytes[hash]) }, (_, index) => block(index + 1).digest())
  return Uint8Array.from(Buffer.concat(blocks).subarray(0, bytes))
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
