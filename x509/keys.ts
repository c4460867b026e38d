import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { type Fingerprint, parseFingerprint } from '#protocol'
import { decodeBitString, malformed, readSequence, tags } from './der-reader.js'
import { X509Error } from './errors.js'

export type Curve = 'P-256' | 'P-384'
export type KeyKind = Curve | 'P-521' | 'Ed25519' | 'RSA'

export function createKeyPair(curve: Curve): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: curve })
}

/** DER SubjectPublicKeyInfo. */
export function spkiOf(publicKey: KeyObject): Uint8Array {
  return new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }))
}

/** What a public key is recognised by. */
export function spkiHash(spki: Uint8Array): Fingerprint {
  return fingerprintOf(spki)
}

/** What a certificate is recognised by: SHA-256 over its whole DER. The serial number is only a label. */
export function fingerprintOf(der: Uint8Array): Fingerprint {
  return parseFingerprint(createHash('sha256').update(der).digest('hex'))
}

/** By what several keys are recognised together, in whatever order they come; see `formatOidcAudience`. */
export function keySetHash(spkiHashes: readonly Fingerprint[]): Fingerprint {
  const digest = createHash('sha256')
  for (const hash of spkiHashes.toSorted()) digest.update(hash, 'hex')
  return parseFingerprint(digest.digest('hex'))
}

/** RFC 7093 §2 method 1: the leftmost 160 bits of SHA-256 over the subjectPublicKey bits. @throws X509Error MALFORMED */
export function keyIdentifierOf(spki: Uint8Array): Uint8Array {
  return createHash('sha256').update(readSpki(spki).key).digest().subarray(0, 20)
}

/**
 * The AlgorithmIdentifiers that we know, whole: a curve is named or nothing, so that parameters written out in a key
 * (CVE-2020-0601) are never looked at.
 */
const algorithms: ReadonlyMap<string, KeyKind> = new Map([
  ['301306072a8648ce3d020106082a8648ce3d030107', 'P-256'], // RFC 5480 §2.1.1
  ['301006072a8648ce3d020106052b81040022', 'P-384'],
  ['301006072a8648ce3d020106052b81040023', 'P-521'], // the CAs of several makers of TPMs
  ['300506032b6570', 'Ed25519'], // RFC 8410 §3
  ['300d06092a864886f70d0101010500', 'RSA'], // RFC 3279 §2.3.1
])

/**
 * A public key of a kind and size that we can check signatures of: NIST curves, Ed25519, RSA of 2,048 to 4,096 bits.
 * Which of them may be certified for what is decided by the caller.
 * @throws X509Error KEY_UNSUPPORTED, MALFORMED
 */
export function decodeSpki(spki: Uint8Array): { readonly kind: KeyKind; readonly publicKey: KeyObject } {
  const kind = kindOf(spki)
  const publicKey = importKey(kind, spki)
  if (kind === 'RSA') checkRsaSize(publicKey)
  return { kind, publicKey }
}

/**
 * What kind of key it says it is. Whether the rest is one is for {@link decodeSpki}, and costs a hundred times as much.
 * @throws X509Error KEY_UNSUPPORTED, MALFORMED
 */
export function kindOf(spki: Uint8Array): KeyKind {
  const { algorithm, key } = readSpki(spki)
  const kind = algorithms.get(Buffer.from(algorithm).toString('hex'))
  if (kind === undefined) throw new X509Error('KEY_UNSUPPORTED', 'a key of an algorithm or curve that is not supported')
  // RFC 5480 §2.2: compressed points are optional to support, and would give one key two SPKIs.
  if (kind.startsWith('P-') && key[0] !== 0x04) {
    throw new X509Error('KEY_UNSUPPORTED', 'an EC point that is not in uncompressed form')
  }
  return kind
}

function readSpki(spki: Uint8Array): { readonly algorithm: Uint8Array; readonly key: Uint8Array } {
  const reader = readSequence(spki)
  const algorithm = reader.next(tags.sequence).raw
  const key = decodeBitString(reader.next(tags.bitString).content)
  reader.end()
  return { algorithm, key }
}

const coordinateBytes = { 'P-256': 32, 'P-384': 48, 'P-521': 66 } as const

/** OpenSSL checks that a point is on its curve. To give it the coordinates takes two thirds of what DER does. */
function importKey(kind: KeyKind, spki: Uint8Array): KeyObject {
  try {
    if (kind === 'RSA' || kind === 'Ed25519') {
      return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    }
    const point = Buffer.from(readSpki(spki).key)
    const bytes = coordinateBytes[kind]
    if (point.length !== 1 + 2 * bytes) throw malformed('a point of another length')
    const [x, y] = [point.toString('base64url', 1, 1 + bytes), point.toString('base64url', 1 + bytes)]
    return createPublicKey({ key: { kty: 'EC', crv: kind, x, y }, format: 'jwk' })
  } catch (cause) {
    throw malformed('a public key', cause)
  }
}

/** Below 2,048 bits a key is weak; above 4,096, or with a long exponent, checking a signature becomes an attack on us. */
function checkRsaSize(key: KeyObject): void {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (modulusLength < 2048 || modulusLength > 4096) {
    throw new X509Error('KEY_UNSUPPORTED', `expected an RSA key of 2048 to 4096 bits, got ${modulusLength}`)
  }
  if (publicExponent < 3n || publicExponent > 0xffff_ffffn) {
    throw new X509Error('KEY_UNSUPPORTED', 'an RSA public exponent out of range')
  }
}
