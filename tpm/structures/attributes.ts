import { TpmError } from '../errors.js'

/** Bits of TPMA_OBJECT (Part 2 table 35), by the standard's names. */
const bits = {
  fixedTPM: 1 << 1,
  stClear: 1 << 2,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  userWithAuth: 1 << 6,
  adminWithPolicy: 1 << 7,
  noDA: 1 << 10,
  encryptedDuplication: 1 << 11,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
} as const

export type AttributeName = keyof typeof bits

/** What a key may do and what may be done with it; fixed when it is made, and part of its Name. */
export type ObjectAttributes = Readonly<Record<AttributeName, boolean>>

const names = Object.keys(bits) as readonly AttributeName[]
const known = names.reduce((mask, name) => mask | bits[name], 0)

/** The named attributes set, all others clear. */
export function attributesWith(...set: readonly AttributeName[]): ObjectAttributes {
  return decodeAttributes(set.reduce((mask, name) => mask | bits[name], 0))
}

/** Refuses reserved bits: they would mean something to a TPM that they do not mean to us. */
export function decodeAttributes(mask: number): ObjectAttributes {
  if ((mask & ~known) !== 0) {
    throw new TpmError('STRUCTURE_UNSUPPORTED', `object attributes 0x${mask.toString(16)} set reserved bits`)
  }
  return Object.fromEntries(names.map((name) => [name, (mask & bits[name]) !== 0])) as ObjectAttributes
}

export function encodeAttributes(attributes: ObjectAttributes): number {
  return names.reduce((mask, name) => (attributes[name] ? mask | bits[name] : mask), 0)
}
