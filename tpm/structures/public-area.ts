import { TpmError } from '../errors.js'
import {
  algorithmIds,
  type CurveName,
  curveOf,
  curves,
  type HashName,
  hashBytes,
  hashOf,
  type SchemeName,
  schemeOf,
  unsupported,
} from './algorithms.js'
import { decodeAttributes, encodeAttributes, type ObjectAttributes } from './attributes.js'
import { TpmReader, TpmWriter } from './codec.js'
import { toKeyObject } from './spki.js'

/** TPMT_PUBLIC (Part 2 table 225) of an asymmetric key. Decoding is strict enough that encoding gives the same bytes back. */
export type TpmPublic = RsaPublic | EccPublic

export interface RsaPublic extends PublicArea {
  readonly type: 'rsa'
  readonly keyBits: number
  /** As encoded: 0 stands for 65537 (Part 2 §12.2.3.5). */
  readonly exponent: number
  readonly modulus: Uint8Array
}

export interface EccPublic extends PublicArea {
  readonly type: 'ecc'
  readonly curve: CurveName
  readonly x: Uint8Array
  readonly y: Uint8Array
}

interface PublicArea {
  /** Hash of the Name, and of what is derived from it. */
  readonly nameAlg: HashName
  readonly attributes: ObjectAttributes
  readonly authPolicy: Uint8Array
  /** AES-CFB for what the key protects; only storage keys have one. */
  readonly symmetricBits?: 128 | 256
  /** The only scheme that the key signs with; absent when each command may choose. */
  readonly scheme?: SignatureScheme
}

export interface SignatureScheme {
  readonly name: SchemeName
  readonly hash: HashName
}

/** @throws TpmError STRUCTURE_INVALID, or STRUCTURE_UNSUPPORTED for what no device identity needs. */
export function decodePublic(bytes: Uint8Array): TpmPublic {
  const reader = new TpmReader(bytes)
  const type = reader.uint16()
  const nameAlg = hashOf(reader.uint16())
  const area: PublicArea = {
    nameAlg,
    attributes: decodeAttributes(reader.uint32()),
    authPolicy: readAuthPolicy(reader, nameAlg),
    ...readSymmetric(reader),
    ...readScheme(reader, type),
  }
  const decoded = readKey(reader, type, area)
  reader.end()
  toKeyObject(decoded) // A point that lies off its curve is no key, and must not get further than this.
  return decoded
}

/** Encodes templates as well, whose modulus or point may be empty. */
export function encodePublic(area: TpmPublic): Uint8Array {
  const writer = new TpmWriter()
    .uint16(algorithmIds[area.type])
    .uint16(algorithmIds[area.nameAlg])
    .uint32(encodeAttributes(area.attributes))
    .sized(area.authPolicy)
  if (area.symmetricBits === undefined) writer.uint16(algorithmIds.null)
  else writer.uint16(algorithmIds.aes).uint16(area.symmetricBits).uint16(algorithmIds.cfb)
  if (area.scheme === undefined) writer.uint16(algorithmIds.null)
  else writer.uint16(algorithmIds[area.scheme.name]).uint16(algorithmIds[area.scheme.hash])
  switch (area.type) {
    case 'rsa':
      return writer.uint16(area.keyBits).uint32(area.exponent).sized(area.modulus).encoded()
    case 'ecc':
      return writer.uint16(curves[area.curve].id).uint16(algorithmIds.null).sized(area.x).sized(area.y).encoded()
  }
}

/** The area without its key, as a template that asks for another one of its kind. */
export function templateOf(area: TpmPublic): TpmPublic {
  switch (area.type) {
    case 'rsa':
      return { ...area, exponent: 0, modulus: new Uint8Array(0) }
    case 'ecc':
      return { ...area, x: new Uint8Array(0), y: new Uint8Array(0) }
  }
}

function readAuthPolicy(reader: TpmReader, nameAlg: HashName): Uint8Array {
  const policy = reader.sized(hashBytes[nameAlg])
  if (policy.length !== 0 && policy.length !== hashBytes[nameAlg]) {
    throw new TpmError('STRUCTURE_INVALID', `an authPolicy of ${policy.length} bytes under ${nameAlg}`)
  }
  return policy
}

/** TPMT_SYM_DEF_OBJECT (Part 2 table 162). */
function readSymmetric(reader: TpmReader): Pick<PublicArea, 'symmetricBits'> {
  const algorithm = reader.uint16()
  if (algorithm === algorithmIds.null) return {}
  if (algorithm !== algorithmIds.aes) throw unsupported('symmetric algorithm', algorithm)
  const keyBits = reader.uint16()
  if (keyBits !== 128 && keyBits !== 256) throw unsupported('AES key size', keyBits)
  const mode = reader.uint16()
  if (mode !== algorithmIds.cfb) throw unsupported('block cipher mode', mode)
  return { symmetricBits: keyBits }
}

/** TPMT_RSA_SCHEME or TPMT_ECC_SCHEME (Part 2 tables 190 and 203), of signing schemes. */
function readScheme(reader: TpmReader, type: number): Pick<PublicArea, 'scheme'> {
  const algorithm = reader.uint16()
  if (algorithm === algorithmIds.null) return {}
  const name = schemeOf(algorithm)
  if ((name === 'ecdsa') !== (type === algorithmIds.ecc)) {
    throw new TpmError('STRUCTURE_INVALID', `${name} is no scheme for a key of type 0x${type.toString(16)}`)
  }
  return { scheme: { name, hash: hashOf(reader.uint16()) } }
}

function readKey(reader: TpmReader, type: number, area: PublicArea): TpmPublic {
  switch (type) {
    case algorithmIds.rsa:
      return { type: 'rsa', ...area, ...readRsaKey(reader) }
    case algorithmIds.ecc:
      return { type: 'ecc', ...area, ...readEccKey(reader) }
    default:
      throw unsupported('key type', type)
  }
}

/** TPMS_RSA_PARMS and TPM2B_PUBLIC_KEY_RSA (Part 2 tables 216 and 191). */
function readRsaKey(reader: TpmReader): Pick<RsaPublic, 'keyBits' | 'exponent' | 'modulus'> {
  const keyBits = reader.uint16()
  if (keyBits !== 2048 && keyBits !== 3072 && keyBits !== 4096) throw unsupported('RSA key size', keyBits)
  const exponent = reader.uint32()
  if (exponent !== 0 && exponent !== 65537) throw unsupported('RSA exponent', exponent)
  const modulus = reader.sized(keyBits / 8)
  if (modulus.length !== keyBits / 8 || (modulus[0] ?? 0) < 0x80 || (modulus.at(-1) ?? 0) % 2 === 0) {
    throw new TpmError('STRUCTURE_INVALID', `the modulus is no RSA modulus of ${keyBits} bits`)
  }
  return { keyBits, exponent, modulus }
}

/** TPMS_ECC_PARMS and TPMS_ECC_POINT (Part 2 tables 217 and 198). */
function readEccKey(reader: TpmReader): Pick<EccPublic, 'curve' | 'x' | 'y'> {
  const curve = curveOf(reader.uint16())
  const kdf = reader.uint16()
  if (kdf !== algorithmIds.null) throw unsupported('key derivation scheme', kdf)
  const { bytes } = curves[curve]
  const x = reader.sized(bytes)
  const y = reader.sized(bytes)
  // Coordinates are padded to the size of the curve (Part 1 §C.8).
  if (x.length !== bytes || y.length !== bytes) {
    throw new TpmError('STRUCTURE_INVALID', `a point of ${x.length} and ${y.length} bytes on ${curve}`)
  }
  return { curve, x, y }
}
