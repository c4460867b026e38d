import { TpmError } from '../errors.js'

/*
 * The algorithms that an identity may rest on here, by the names that OpenSSL and JWK use. What is not in these tables
 * is refused as STRUCTURE_UNSUPPORTED: SHA-1 above all, and curves and schemes that no device needs.
 */

/** TPM_ALG_ID values (Part 2 table 9), those that appear in structures read here. */
export const algorithmIds = {
  rsa: 0x0001,
  hmac: 0x0005,
  aes: 0x0006,
  keyedHash: 0x0008,
  sha256: 0x000b,
  sha384: 0x000c,
  null: 0x0010,
  rsassa: 0x0014,
  rsapss: 0x0016,
  ecdsa: 0x0018,
  ecc: 0x0023,
  cfb: 0x0043,
} as const

export type HashName = 'sha256' | 'sha384'

export const hashBytes: Readonly<Record<HashName, number>> = { sha256: 32, sha384: 48 }

export type CurveName = 'P-256' | 'P-384'

/** `id` is the TPM_ECC_CURVE (Part 2 table 10), `openssl` the name that node:crypto's ECDH takes. */
export const curves: Readonly<
  Record<CurveName, { readonly id: number; readonly openssl: string; readonly bytes: number }>
> = {
  'P-256': { id: 0x0003, openssl: 'prime256v1', bytes: 32 },
  'P-384': { id: 0x0004, openssl: 'secp384r1', bytes: 48 },
}

export type SchemeName = 'rsassa' | 'rsapss' | 'ecdsa'

export function hashOf(algorithmId: number): HashName {
  if (algorithmId === algorithmIds.sha256) return 'sha256'
  if (algorithmId === algorithmIds.sha384) return 'sha384'
  throw unsupported('hash', algorithmId)
}

export function curveOf(curveId: number): CurveName {
  if (curveId === curves['P-256'].id) return 'P-256'
  if (curveId === curves['P-384'].id) return 'P-384'
  throw unsupported('curve', curveId)
}

export function schemeOf(algorithmId: number): SchemeName {
  if (algorithmId === algorithmIds.rsassa) return 'rsassa'
  if (algorithmId === algorithmIds.rsapss) return 'rsapss'
  if (algorithmId === algorithmIds.ecdsa) return 'ecdsa'
  throw unsupported('signature scheme', algorithmId)
}

export function unsupported(what: string, id: number): TpmError {
  return new TpmError('STRUCTURE_UNSUPPORTED', `${what} 0x${id.toString(16).padStart(4, '0')} is not supported`)
}
