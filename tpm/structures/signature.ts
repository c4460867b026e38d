import { constants, verify } from 'node:crypto'
import { TpmError } from '../errors.js'
import { algorithmIds, curves, type HashName, hashOf, schemeOf } from './algorithms.js'
import { TpmReader, TpmWriter } from './codec.js'
import type { TpmPublic } from './public-area.js'
import { toKeyObject } from './spki.js'

/** TPMT_SIGNATURE (Part 2 table 206). */
export type TpmSignature =
  | { readonly scheme: 'ecdsa'; readonly hash: HashName; readonly r: Uint8Array; readonly s: Uint8Array }
  | { readonly scheme: 'rsassa' | 'rsapss'; readonly hash: HashName; readonly signature: Uint8Array }

const maxRsaBytes = 512
const maxScalarBytes = 48

/**
 * Returns when `signature` (TPMT_SIGNATURE) is the key's over `data`, by the scheme that the key is bound to: a key
 * that leaves the choice to its user says too little about what it signed, and vouches for nothing here.
 * @throws TpmError SIGNATURE_INVALID, or what decoding the signature throws.
 */
export function verifySignature(key: TpmPublic, data: Uint8Array, signature: Uint8Array): void {
  const decoded = decodeSignature(signature)
  if (key.scheme === undefined || decoded.scheme !== key.scheme.name || decoded.hash !== key.scheme.hash) {
    throw new TpmError(
      'SIGNATURE_INVALID',
      `a signature by ${decoded.scheme} with ${decoded.hash}, which is not the key's scheme`,
    )
  }
  if (!isSignedBy(key, data, decoded)) throw new TpmError('SIGNATURE_INVALID', 'the signature is not the key’s')
}

/** @throws TpmError STRUCTURE_INVALID or STRUCTURE_UNSUPPORTED */
export function decodeSignature(bytes: Uint8Array): TpmSignature {
  const reader = new TpmReader(bytes)
  const scheme = schemeOf(reader.uint16())
  const hash = hashOf(reader.uint16())
  const decoded: TpmSignature =
    scheme === 'ecdsa'
      ? { scheme, hash, r: reader.sized(maxScalarBytes), s: reader.sized(maxScalarBytes) }
      : { scheme, hash, signature: reader.sized(maxRsaBytes) }
  reader.end()
  return decoded
}

export function encodeSignature(signature: TpmSignature): Uint8Array {
  const writer = new TpmWriter().uint16(algorithmIds[signature.scheme]).uint16(algorithmIds[signature.hash])
  switch (signature.scheme) {
    case 'ecdsa':
      return writer.sized(signature.r).sized(signature.s).encoded()
    case 'rsassa':
    case 'rsapss':
      return writer.sized(signature.signature).encoded()
  }
}

function isSignedBy(key: TpmPublic, data: Uint8Array, signature: TpmSignature): boolean {
  const publicKey = toKeyObject(key)
  switch (signature.scheme) {
    case 'ecdsa': {
      if (key.type !== 'ecc') return false
      const { bytes } = curves[key.curve]
      const pair = Buffer.concat([padded(signature.r, bytes), padded(signature.s, bytes)])
      return verify(signature.hash, data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, pair)
    }
    case 'rsassa':
      return verify(signature.hash, data, { key: publicKey, padding: constants.RSA_PKCS1_PADDING }, signature.signature)
    case 'rsapss': // TPMs differ in the length of the salt (Part 1 §B.7); the verifier reads it from the signature.
      return verify(
        signature.hash,
        data,
        { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO },
        signature.signature,
      )
  }
}

/** Older TPMs leave out the leading zeros of r and s. */
function padded(scalar: Uint8Array, bytes: number): Uint8Array {
  if (scalar.length > bytes) throw new TpmError('STRUCTURE_INVALID', `a scalar of ${scalar.length} bytes`)
  return Buffer.concat([Buffer.alloc(bytes - scalar.length), scalar])
}
