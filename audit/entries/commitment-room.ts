import type { CborWriter } from './cbor.js'
import { fields } from './fields.js'

/*
 * The last field of an entry that commits to a payload. The broker's thread leaves it empty, and the writer's fills it in
 * before anything is summed up or hashed. No field of such an entry may have a higher key.
 */

export const commitmentBytes = 32

/** How many fields it takes in the entry's map. */
export const commitmentFields = 1

const emptyCommitment = Buffer.alloc(commitmentBytes)

export function writeCommitmentRoom(writer: CborWriter): void {
  writer.key(fields.payloadCommitment[0])
  writer.bytes(emptyCommitment)
}

/** Where the commitment stands in an entry that ends here. */
export function commitmentIn(entryEnd: number): number {
  return entryEnd - commitmentBytes
}
