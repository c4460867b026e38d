import type { KeyObject } from 'node:crypto'
import {
  contextTag,
  decodeBitString,
  decodeBoolean,
  decodeOid,
  decodeSmallInteger,
  decodeTime,
  DerReader,
  malformed,
  readSequence,
  tags,
} from './der-reader.js'
import { X509Error } from './errors.js'
import type { Extension } from './extensions.js'
import { decodeSpki } from './keys.js'
import type { Signed } from './signatures.js'

/** More than any certificate we have seen of a TPM maker or made ourselves. */
const maxCertificateBytes = 16 * 1024
const maxExtensions = 32

/** A certificate taken apart, its names and extensions still encoded; nothing in it has been verified. */
export interface Certificate {
  readonly der: Uint8Array
  /** The INTEGER's content octets. */
  readonly serial: Uint8Array
  /** DER Name. */
  readonly issuer: Uint8Array
  /** DER Name. */
  readonly subject: Uint8Array
  readonly notBefore: Date
  readonly notAfter: Date
  readonly spki: Uint8Array
  /** By object identifier. */
  readonly extensions: ReadonlyMap<string, Extension>
  readonly signed: Signed
}

/** RFC 5280 §4.1, version 3 only. @throws X509Error TOO_LARGE, MALFORMED */
export function decodeCertificate(der: Uint8Array): Certificate {
  if (der.length > maxCertificateBytes) {
    throw new X509Error('TOO_LARGE', `a certificate has at most ${maxCertificateBytes} bytes, got ${der.length}`)
  }
  const outer = readSequence(der)
  const data = outer.next(tags.sequence).raw
  const algorithm = outer.next(tags.sequence).raw
  const signature = decodeBitString(outer.next(tags.bitString).content)
  outer.end()
  return { der, ...readTbs(data, algorithm), signed: { data, algorithm, signature } }
}

/** DER SubjectPublicKeyInfo of the key that a certificate is about, as it stands there. @throws X509Error TOO_LARGE, MALFORMED */
export function certifiedSpki(der: Uint8Array): Uint8Array {
  return decodeCertificate(der).spki
}

const publicKeys = new WeakMap<Certificate, KeyObject>()

/**
 * The key that it certifies. To import one takes longer than to check a signature with it, and a CA's comes again with
 * every path. @throws X509Error KEY_UNSUPPORTED, MALFORMED
 */
export function publicKeyOf(certificate: Certificate): KeyObject {
  const publicKey = publicKeys.get(certificate) ?? decodeSpki(certificate.spki).publicKey
  publicKeys.set(certificate, publicKey)
  return publicKey
}

function readTbs(data: Uint8Array, algorithm: Uint8Array): Omit<Certificate, 'der' | 'signed'> {
  const tbs = readSequence(data)
  readVersion(tbs.next(contextTag(0, 'constructed')).content)
  const serial = tbs.next(tags.integer).content
  const innerAlgorithm = tbs.next(tags.sequence).raw
  if (Buffer.compare(innerAlgorithm, algorithm) !== 0) throw malformed('two signature algorithms') // §4.1.1.2
  const issuer = tbs.next(tags.sequence).raw
  const [notBefore, notAfter] = readValidity(tbs.sequence())
  const subject = tbs.next(tags.sequence).raw
  const spki = tbs.next(tags.sequence).raw
  const extensions = readExtensions(tbs.optional(contextTag(3, 'constructed'))?.content)
  tbs.end()
  return { serial, issuer, subject, notBefore, notAfter, spki, extensions }
}

function readVersion(content: Uint8Array): void {
  const reader = new DerReader(content)
  const version = decodeSmallInteger(reader.next(tags.integer).content)
  reader.end()
  if (version !== 2) throw malformed('a certificate that is not of version 3')
}

function readValidity(validity: DerReader): readonly [Date, Date] {
  const notBefore = decodeTime(validity.any())
  const notAfter = decodeTime(validity.any())
  validity.end()
  return [notBefore, notAfter]
}

/** A SEQUENCE of extensions, by object identifier; none where there is none. @throws X509Error MALFORMED, TOO_LARGE */
export function readExtensions(content: Uint8Array | undefined): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>()
  if (content === undefined) return extensions
  const list = readSequence(content)
  while (!list.atEnd) {
    const extension = readExtension(list.sequence())
    if (extensions.has(extension.oid)) throw malformed(`extension ${extension.oid} twice`) // §4.2
    if (extensions.size === maxExtensions) throw new X509Error('TOO_LARGE', `over ${maxExtensions} extensions`)
    extensions.set(extension.oid, extension)
  }
  return extensions
}

function readExtension(reader: DerReader): Extension {
  const oid = decodeOid(reader.next(tags.oid).content)
  const flag = reader.optional(tags.boolean) // an explicit FALSE is not DER, but makers of TPMs write it
  const critical = flag !== undefined && decodeBoolean(flag.content)
  const der = reader.next(tags.octetString).content
  reader.end()
  return { oid, critical, der }
}
