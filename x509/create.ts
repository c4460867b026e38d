import { type KeyObject, randomBytes } from 'node:crypto'
import { type CertificateSerial, decodeHex } from '#protocol'
import { decodeCertificate } from './certificate.js'
import { contextTag } from './der-reader.js'
import { bitString, der, sequence, time, unsignedInteger } from './der-writer.js'
import {
  authorityKeyIdentifier,
  basicConstraints,
  certificatePolicies,
  encodeExtension,
  type Extension,
  extKeyUsage,
  keyUsage,
  type KeyUsage,
  noRevAvail,
  permitUriHost,
  readSubjectKeyIdentifier,
  subjectAltName,
  subjectKeyIdentifier,
} from './extensions.js'
import { keyIdentifierOf } from './keys.js'
import { encodeName, type GeneralName, type NameAttribute } from './names.js'
import { oids } from './oids.js'
import { signatureAlgorithmOf, signData } from './signatures.js'

/** What a certificate shall say. It is written as given: whether it may be said is the business of who asks. */
export interface CertificateSpec {
  /** Empty where the subject alternative name alone says who this is, as in EK certificates. */
  readonly subject: readonly NameAttribute[]
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  /** To the second. */
  readonly notBefore: Date
  readonly notAfter: Date
  /** Default: 16 octets, random but for the first two bits. */
  readonly serial?: CertificateSerial
  /** Makes it a CA certificate; absent: CA:FALSE. */
  readonly authority?: {
    readonly pathLength?: number
    /** The only host that URIs in certificates below may name. */
    readonly permittedUriHost?: string
  }
  readonly keyUsage: readonly KeyUsage[]
  /** Object identifiers; none: no such extension. */
  readonly extKeyUsage?: readonly string[]
  readonly subjectAltName?: readonly GeneralName[]
  /** Object identifiers. */
  readonly certificatePolicies?: readonly string[]
  /** Default false. */
  readonly noRevAvail?: boolean
  /** Written after ours, as they are. */
  readonly extensions?: readonly Extension[]
}

export interface Issuer {
  readonly privateKey: KeyObject
  /** DER; without it the certificate is self-signed. */
  readonly certificate?: Uint8Array
}

/** A signed certificate, version 3 (RFC 5280 §4.1). A promise, because a key may be kept where one has to wait for it. */
export async function createCertificate(spec: CertificateSpec, issuer: Issuer): Promise<Uint8Array> {
  const algorithm = signatureAlgorithmOf(issuer.privateKey)
  const subject = encodeName(spec.subject)
  const { name, keyIdentifier } = issuerFacts(spec, subject, issuer.certificate)
  const data = sequence(
    der(contextTag(0, 'constructed'), unsignedInteger(Uint8Array.of(2))), // version 3
    unsignedInteger(spec.serial === undefined ? randomSerial() : decodeHex(spec.serial)),
    algorithm,
    name,
    sequence(time(spec.notBefore), time(spec.notAfter)),
    subject,
    spec.spki,
    der(contextTag(3, 'constructed'), sequence(...extensionsOf(spec, keyIdentifier).map(encodeExtension))),
  )
  return new Uint8Array(sequence(data, algorithm, bitString(signData(data, algorithm, issuer.privateKey))))
}

/** Positive, and 16 octets for every certificate: of 128 bits the first two are 01, the rest is chance (§4.1.2.2). */
function randomSerial(): Uint8Array {
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  return serial
}

/** What a certificate says of its issuer. */
interface IssuerFacts {
  /** DER. */
  readonly name: Uint8Array
  readonly keyIdentifier: Uint8Array
}

/** A CA that signs, signs many: its certificate is read once. */
const read = new WeakMap<Uint8Array, IssuerFacts>()

function issuerFacts(spec: CertificateSpec, subject: Uint8Array, certificate: Uint8Array | undefined): IssuerFacts {
  if (certificate === undefined) return { name: subject, keyIdentifier: keyIdentifierOf(spec.spki) }
  const facts = read.get(certificate) ?? readIssuer(certificate)
  read.set(certificate, facts)
  return facts
}

function readIssuer(certificate: Uint8Array): IssuerFacts {
  const { subject, spki, extensions } = decodeCertificate(certificate)
  const identifier = extensions.get(oids.subjectKeyIdentifier)
  return {
    name: subject,
    keyIdentifier: identifier ? readSubjectKeyIdentifier(identifier.der) : keyIdentifierOf(spki),
  }
}

function extensionsOf(spec: CertificateSpec, authorityKey: Uint8Array): readonly Extension[] {
  const { authority, extKeyUsage: purposes = [], certificatePolicies: policies = [], subjectAltName: names = [] } = spec
  return [
    basicConstraints(authority),
    keyUsage(spec.keyUsage),
    ...(purposes.length > 0 ? [extKeyUsage(purposes)] : []),
    subjectKeyIdentifier(keyIdentifierOf(spec.spki)),
    authorityKeyIdentifier(authorityKey),
    ...(names.length > 0 ? [subjectAltName(names, spec.subject.length === 0)] : []),
    ...(policies.length > 0 ? [certificatePolicies(policies)] : []),
    ...(authority?.permittedUriHost === undefined ? [] : [permitUriHost(authority.permittedUriHost)]),
    ...(spec.noRevAvail === true ? [noRevAvail()] : []),
    ...(spec.extensions ?? []),
  ]
}
