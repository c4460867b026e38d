import { createPublicKey, type KeyObject } from 'node:crypto'
import { TpmError } from '../errors.js'
import type { CurveName } from './algorithms.js'

/** The key itself, without what a TPM says about it. */
export type KeyMaterial =
  | { readonly type: 'rsa'; readonly exponent: number; readonly modulus: Uint8Array }
  | { readonly type: 'ecc'; readonly curve: CurveName; readonly x: Uint8Array; readonly y: Uint8Array }

/** DER SubjectPublicKeyInfo (RFC 5280 §4.1), the form in which certificates and CSRs carry the key. */
export function toSpki(key: KeyMaterial): Uint8Array {
  return Uint8Array.from(toKeyObject(key).export({ type: 'spki', format: 'der' }))
}

/** To import a point costs half as much as to verify a signature, and a join asks for each of its keys several times. */
const imported = new WeakMap<KeyMaterial, KeyObject>()

/** For node:crypto, which refuses a point off its curve. @throws TpmError STRUCTURE_INVALID */
export function toKeyObject(key: KeyMaterial): KeyObject {
  const known = imported.get(key)
  if (known) return known
  try {
    const object = createPublicKey({ format: 'jwk', key: toJwk(key) })
    imported.set(key, object)
    return object
  } catch (cause) {
    throw new TpmError('STRUCTURE_INVALID', 'not a usable public key', { cause })
  }
}

function toJwk(key: KeyMaterial): Record<string, string> {
  switch (key.type) {
    case 'rsa': // Part 2 §12.2.3.5: exponent 0 is 65537.
      return { kty: 'RSA', n: base64url(key.modulus), e: base64url(unsigned(key.exponent || 65537)) }
    case 'ecc':
      return { kty: 'EC', crv: key.curve, x: base64url(key.x), y: base64url(key.y) }
  }
}

function unsigned(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes.subarray(bytes.findIndex((byte) => byte !== 0))
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}
