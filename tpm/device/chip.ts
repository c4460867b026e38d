import { readProperties } from '../commands/capabilities.js'
import type { Chip } from '../tpm.js'
import type { Transport } from '../transport/transport.js'

/** TPM_PT (Part 2 §6.13): what is fixed begins at 0x100, what varies at 0x200. */
const manufacturer = 0x105
const vendorWords = [0x106, 0x107, 0x108, 0x109] as const
const firmware = [0x10b, 0x10c] as const
const permanent = 0x200
const firstFixed = 0x100
const fixedCount = firmware[1] - firstFixed + 1
/** TPMA_PERMANENT (Part 2 §8.6), bit 9. */
const inLockout = 1 << 9

export async function readChip(transport: Transport): Promise<Chip> {
  const fixed = await readProperties(transport, firstFixed, fixedCount)
  const varying = await readProperties(transport, permanent, 1)
  const word = (property: number): number => fixed.get(property) ?? 0
  return {
    manufacturer: textOf([word(manufacturer)]),
    model: textOf(vendorWords.map(word)),
    firmware: firmware.map(word).map(versionOf).join('.'),
    inLockout: ((varying.get(permanent) ?? 0) & inLockout) !== 0,
  }
}

/** Four characters a word; what is no letter a person can read is left out. */
function textOf(words: readonly number[]): string {
  const bytes = Buffer.alloc(4 * words.length)
  words.forEach((word, index) => bytes.writeUInt32BE(word, 4 * index))
  return bytes
    .toString('latin1')
    .replace(/[^\x20-\x7e]/g, '')
    .trim()
}

/** Makers put two numbers into each half, the high one first. */
function versionOf(word: number): string {
  return `${word >>> 16}.${word & 0xffff}`
}
