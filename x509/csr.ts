import type { KeyObject } from 'node:crypto'
import { type Fingerprint, joinLimits } from '#protocol'
import { contextTag, decodeBitString, decodeSmallInteger, readSequence, tags } from './der-reader.js'
import { bitString, der, sequence, unsignedInteger } from './der-writer.js'
import { X509Error } from './errors.js'
import { decodeSpki, spkiHash } from './keys.js'
import { ecdsaWithSha256, type Signed, verifySignature } from './signatures.js'

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

export interface CsrKey extends RequestedKey {
  readonly publicKey: KeyObject
}

/** The key that a request is for. */
export interface RequestedKey {
  readonly spki: Uint8Array
  readonly spkiHash: Fingerprint
}

/**
 * The key of a request, proven to be held by whoever made it. Names and attributes that it asks for are passed over.
 * @throws X509Error TOO_LARGE, MALFORMED, KEY_UNSUPPORTED (P-256 and Ed25519 only), SIGNATURE_UNSUPPORTED, SIGNATURE_INVALID
 */
export function decodeCsr(csr: Uint8Array): CsrKey {
  const { spki, signed } = readCsr(csr)
  const { kind, publicKey } = decodeSpki(spki)
  if (kind !== 'P-256' && kind !== 'Ed25519') {
    throw new X509Error('KEY_UNSUPPORTED', `expected a P-256 or Ed25519 key in the CSR, got ${kind}`)
  }
  verifySignature(signed, publicKey)
  return { spki, spkiHash: spkiHash(spki), publicKey }
}

/**
 * The same key, before anybody has looked whether the sender holds it: to be asked about, and proven later.
 * @throws X509Error TOO_LARGE, MALFORMED
 */
export function readCsrKey(csr: Uint8Array): RequestedKey {
  const { spki } = readCsr(csr)
  return { spki, spkiHash: spkiHash(spki) }
}

/** A request taken apart; its signature is not verified. @throws X509Error TOO_LARGE, MALFORMED */
export function readCsr(csr: Uint8Array): CsrInfo & { readonly signed: Signed } {
  if (csr.length > joinLimits.maxCsrBytes) {
    throw new X509Error('TOO_LARGE', `a CSR has at most ${joinLimits.maxCsrBytes} bytes, got ${csr.length}`)
  }
  const request = readSequence(csr)
  const data = request.next(tags.sequence)
  const algorithm = request.next(tags.sequence).raw
  const signature = decodeBitString(request.next(tags.bitString).content)
  request.end()
  return { ...readInfo(data.raw), signed: { data: data.raw, algorithm, signature } }
}

/** CertificationRequestInfo (RFC 2986 §4.1). */
interface CsrInfo {
  /** DER Name. */
  readonly subject: Uint8Array
  readonly spki: Uint8Array
  /** What the SET of them holds. */
  readonly attributes: Uint8Array
}

function readInfo(bytes: Uint8Array): CsrInfo {
  const info = readSequence(bytes)
  const version = decodeSmallInteger(info.next(tags.integer).content)
  if (version !== 0) throw new X509Error('MALFORMED', `expected a CSR of version 0, got ${version}`)
  const subject = info.next(tags.sequence).raw
  const spki = new Uint8Array(info.next(tags.sequence).raw)
  const attributes = info.optional(attributesTag) // required by the standard, left out by small implementations
  info.end()
  return { subject, spki, attributes: attributes?.content ?? new Uint8Array() }
}
