import type { KeyObject } from 'node:crypto'
import { type Fingerprint, joinLimits } from '#protocol'
import { contextTag, decodeBitString, decodeSmallInteger, readSequence, tags } from './der-reader.js'
import { bitString, der, sequence, unsignedInteger } from './der-writer.js'
import { X509Error } from './errors.js'
import { decodeSpki, spkiHash } from './keys.js'
import { ecdsaWithSha256, verifySignatureAside } from './signatures.js'

const attributesTag = contextTag(0, 'constructed')

export interface CsrRequest {
  /** DER SubjectPublicKeyInfo of a P-256 key. */
  readonly spki: Uint8Array
  /** ECDSA with SHA-256 over the bytes given, as DER Ecdsa-Sig-Value. The key may live in a TPM. */
  readonly sign: (data: Uint8Array) => Promise<Uint8Array>
}

/** A PKCS#10 request (RFC 2986 §4.2) that names nobody: who a device is, its certificate will say. */
export async function createCsr(request: CsrRequest): Promise<Uint8Array> {
  const version = unsignedInteger(Uint8Array.of(0))
  const subject = sequence()
  const info = sequence(version, subject, request.spki, der(attributesTag))
  return new Uint8Array(sequence(info, ecdsaWithSha256, bitString(await request.sign(info))))
}

export interface CsrKey {
  readonly spki: Uint8Array
  readonly spkiHash: Fingerprint
  readonly publicKey: KeyObject
}

/**
 * The key of a request, proven to be held by whoever made it. Names and attributes that it asks for are passed over.
 * @throws X509Error TOO_LARGE, MALFORMED, KEY_UNSUPPORTED (P-256 and Ed25519 only), SIGNATURE_UNSUPPORTED, SIGNATURE_INVALID
 */
export async function decodeCsr(csr: Uint8Array): Promise<CsrKey> {
  if (csr.length > joinLimits.maxCsrBytes) {
    throw new X509Error('TOO_LARGE', `a CSR has at most ${joinLimits.maxCsrBytes} bytes, got ${csr.length}`)
  }
  const { spki, signed } = readCsr(csr)
  const { kind, publicKey } = decodeSpki(spki)
  if (kind !== 'P-256' && kind !== 'Ed25519') {
    throw new X509Error('KEY_UNSUPPORTED', `expected a P-256 or Ed25519 key in the CSR, got ${kind}`)
  }
  await verifySignatureAside(signed, publicKey)
  return { spki, spkiHash: spkiHash(spki), publicKey }
}

function readCsr(csr: Uint8Array) {
  const request = readSequence(csr)
  const data = request.next(tags.sequence)
  const algorithm = request.next(tags.sequence).raw
  const signature = decodeBitString(request.next(tags.bitString).content)
  request.end()
  return { spki: readInfo(data.raw), signed: { data: data.raw, algorithm, signature } }
}

/** CertificationRequestInfo (RFC 2986 §4.1): its SubjectPublicKeyInfo. */
function readInfo(bytes: Uint8Array): Uint8Array {
  const info = readSequence(bytes)
  const version = decodeSmallInteger(info.next(tags.integer).content)
  if (version !== 0) throw new X509Error('MALFORMED', `expected a CSR of version 0, got ${version}`)
  info.next(tags.sequence) // subject
  const spki = info.next(tags.sequence).raw
  info.optional(attributesTag) // required by the standard, left out by small implementations
  info.end()
  return new Uint8Array(spki)
}
