import type { CborWriter } from './cbor.js'
import { fields } from './fields.js'

/*
 * The last two fields of an entry that commits to a payload. The broker's thread leaves them empty, and the writer's
 * fills them in before anything is summed up or hashed. No field of such an entry may have a higher key.
 */

export const nonceBytes = 16
export const commitmentBytes = 32

/** How many fields it takes in the entry's map. */
export const commitmentFields = 2

const emptyNonce = Buffer.alloc(nonceBytes)
const emptyCommitment = Buffer.alloc(commitmentBytes)
/** Between the two stand a key and the head of a byte string, two bytes each. */
const between = 4

export function writeCommitmentRoom(writer: CborWriter): void {
  writer.integer(fields.payloadNonce[0])
  writer.bytes(emptyNonce)
  writer.integer(fields.payloadCommitment[0])
  writer.bytes(emptyCommitment)
}

/** Where the nonce stands in an entry that ends here. */
export function nonceIn(entryEnd: number): number {
  return entryEnd - commitmentBytes - between - nonceBytes
}

/** Where the commitment does. */
export function commitmentIn(entryEnd: number): number {
  return entryEnd - commitmentBytes
}
