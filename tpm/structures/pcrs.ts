import { createHash } from 'node:crypto'
import { TpmError } from '../errors.js'
import { algorithmIds, type HashName, hashOf } from './algorithms.js'
import { type TpmReader, TpmWriter } from './codec.js'

/** TPMS_PCR_SELECTION (Part 2 table 108): which registers of which bank, in ascending order. */
export interface PcrSelection {
  readonly hash: HashName
  readonly pcrs: readonly number[]
}

const selectBytes = 3
const maxSelections = 4

/** TPML_PCR_SELECTION (Part 2 table 116). */
export function readPcrSelections(reader: TpmReader): readonly PcrSelection[] {
  const count = reader.uint32()
  if (count > maxSelections) throw new TpmError('STRUCTURE_INVALID', `${count} PCR selections`)
  return Array.from({ length: count }, () => readPcrSelection(reader))
}

export function encodePcrSelections(selections: readonly PcrSelection[]): Uint8Array {
  const writer = new TpmWriter().uint32(selections.length)
  for (const { hash, pcrs } of selections) {
    const mask = new Uint8Array(selectBytes)
    for (const pcr of pcrs) mask[pcr >> 3] = (mask[pcr >> 3] ?? 0) | (1 << (pcr & 7))
    writer.uint16(algorithmIds[hash]).uint8(selectBytes).bytes(mask)
  }
  return writer.encoded()
}

/** What a quote vouches for: the selected values, in ascending order of their registers, hashed with the signer's hash. */
export function pcrDigest(values: ReadonlyMap<number, Uint8Array>, hash: HashName): Uint8Array {
  const digest = createHash(hash)
  for (const [, value] of [...values].sort(([left], [right]) => left - right)) digest.update(value)
  return Uint8Array.from(digest.digest())
}

function readPcrSelection(reader: TpmReader): PcrSelection {
  const hash = hashOf(reader.uint16())
  // PC Client TPMs have 24 registers; another size would select what we cannot name.
  const size = reader.uint8()
  if (size !== selectBytes) throw new TpmError('STRUCTURE_INVALID', `a PCR selection of ${size} bytes`)
  const mask = reader.bytes(size)
  return { hash, pcrs: [...Array(size * 8).keys()].filter((pcr) => ((mask[pcr >> 3] ?? 0) >> (pcr & 7)) % 2 === 1) }
}
