import { createHash } from 'node:crypto'
import { TpmError } from '../errors.js'
import type { HashName } from './algorithms.js'
import { TpmReader } from './codec.js'
import { readPcrSelections } from './pcrs.js'

/** TPM_ST_CREATION (Part 2 §6.9). */
const creationTag = 0x8021
const maxCreationDataBytes = 512
const maxDigestBytes = 64
const maxNameBytes = 2 + 64

/**
 * What comes with a new object beside its public area: creation data (Part 2 §15), its hash, and a ticket (Part 2 §10.7.3).
 * Nobody here has a use for them, but whoever changed them on their way may have changed more.
 */
export function readCreation(reader: TpmReader, nameAlg: HashName): void {
  const data = reader.sized(maxCreationDataBytes)
  const hash = reader.sized(maxDigestBytes)
  readCreationData(data)
  if (!createHash(nameAlg).update(data).digest().equals(hash)) {
    throw new TpmError('STRUCTURE_INVALID', 'the creation data has another hash')
  }
  if (reader.uint16() !== creationTag) throw new TpmError('STRUCTURE_INVALID', 'not a creation ticket')
  reader.uint32() // its hierarchy
  reader.sized(maxDigestBytes)
}

function readCreationData(data: Uint8Array): void {
  const reader = new TpmReader(data)
  readPcrSelections(reader)
  reader.sized(maxDigestBytes)
  reader.uint8() // locality
  reader.uint16() // the parent's nameAlg
  reader.sized(maxNameBytes)
  reader.sized(maxNameBytes) // its qualified name
  reader.sized(maxDigestBytes) // outside information
  reader.end()
}
