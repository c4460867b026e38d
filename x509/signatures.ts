import { type KeyObject, sign, verify } from 'node:crypto'
import { readSequence, tags, decodeOid } from './der-reader.js'
import { der, oid, sequence } from './der-writer.js'
import { X509Error } from './errors.js'
import { oids } from './oids.js'

interface SignatureAlgorithm {
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null
  readonly keyType: 'ec' | 'rsa' | 'ed25519'
}

/** What we accept: no SHA-1, no MD5, and each only with the type of key that it belongs to. */
const algorithms: Readonly<Record<string, SignatureAlgorithm>> = {
  '1.2.840.10045.4.3.2': { hash: 'sha256', keyType: 'ec' }, // RFC 5758 §3.2
  '1.2.840.10045.4.3.3': { hash: 'sha384', keyType: 'ec' },
  '1.2.840.10045.4.3.4': { hash: 'sha512', keyType: 'ec' },
  '1.2.840.113549.1.1.11': { hash: 'sha256', keyType: 'rsa' }, // RFC 4055 §5
  '1.2.840.113549.1.1.12': { hash: 'sha384', keyType: 'rsa' },
  '1.2.840.113549.1.1.13': { hash: 'sha512', keyType: 'rsa' },
  '1.3.101.112': { hash: null, keyType: 'ed25519' }, // RFC 8410 §6
}

/** The AlgorithmIdentifier of ECDSA with SHA-256. */
export const ecdsaWithSha256 = sequence(oid(oids.ecdsaWithSha256))
const ecdsaWithSha384 = sequence(oid('1.2.840.10045.4.3.3'))

/** Some bytes and a signature over them, as certificates and requests carry them. */
export interface Signed {
  readonly data: Uint8Array
  /** DER AlgorithmIdentifier. */
  readonly algorithm: Uint8Array
  readonly signature: Uint8Array
}

/** @throws X509Error SIGNATURE_UNSUPPORTED, SIGNATURE_INVALID */
export function verifySignature(signed: Signed, key: KeyObject): void {
  const { hash } = algorithmFor(signed, key)
  if (!verify(hash, signed.data, key, signed.signature)) throw invalid()
}

/** The algorithm that goes with a signing key. @throws X509Error KEY_UNSUPPORTED */
export function signatureAlgorithmOf(privateKey: KeyObject): Uint8Array {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = privateKey
  if (type === 'ec') return details?.namedCurve === 'secp384r1' ? ecdsaWithSha384 : ecdsaWithSha256
  if (type === 'rsa') return sequence(oid('1.2.840.113549.1.1.11'), der(tags.null))
  if (type === 'ed25519') return sequence(oid('1.3.101.112'))
  throw new X509Error('KEY_UNSUPPORTED', 'cannot sign with a key of this type')
}

/** At once: to hand it to a thread of the pool and to wake that takes as long as a signature on P-256, and longer. */
export function signData(data: Uint8Array, algorithm: Uint8Array, privateKey: KeyObject): Uint8Array {
  return sign(known(algorithm).hash, data, privateKey)
}

function algorithmFor(signed: Signed, key: KeyObject): SignatureAlgorithm {
  const algorithm = known(signed.algorithm)
  if (algorithm.keyType !== key.asymmetricKeyType) throw invalid()
  return algorithm
}

function known(algorithmIdentifier: Uint8Array): SignatureAlgorithm {
  const name = decodeOid(readSequence(algorithmIdentifier).next(tags.oid).content)
  const algorithm = algorithms[name]
  if (algorithm === undefined) {
    throw new X509Error('SIGNATURE_UNSUPPORTED', `signature algorithm ${name} is not supported`)
  }
  return algorithm
}

function invalid(): X509Error {
  return new X509Error('SIGNATURE_INVALID', 'the signature does not belong to these bytes and this key')
}
