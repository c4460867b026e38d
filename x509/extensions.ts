import {
  contextTag,
  decodeBoolean,
  decodeNamedBits,
  decodeOid,
  decodeSmallInteger,
  DerReader,
  readSequence,
  tags,
} from './der-reader.js'
import { boolean, der, namedBits, octetString, oid, sequence, unsignedInteger } from './der-writer.js'
import { encodeGeneralName, type GeneralName } from './names.js'
import { oids } from './oids.js'

/** One extension, its value still encoded. */
export interface Extension {
  readonly oid: string
  readonly critical: boolean
  /** DER of the value, what the OCTET STRING holds. */
  readonly der: Uint8Array
}

/** The bits of KeyUsage that we set or ask for (RFC 5280 §4.2.1.3). */
const keyUsageBits = { digitalSignature: 0, keyEncipherment: 2, keyAgreement: 4, keyCertSign: 5, cRLSign: 6 } as const
export type KeyUsage = keyof typeof keyUsageBits

export function encodeExtension(extension: Extension): Uint8Array {
  const critical = extension.critical ? [boolean(true)] : [] // DEFAULT FALSE is left out (X.690 §11.5)
  return sequence(oid(extension.oid), ...critical, octetString(extension.der))
}

/* What we write. RFC 5280 §4.2.1 by subsection. */

export function basicConstraints(authority: { readonly pathLength?: number } | undefined): Extension {
  const pathLength = authority?.pathLength
  const fields = [
    ...(authority === undefined ? [] : [boolean(true)]),
    ...(pathLength === undefined ? [] : [unsignedInteger(Uint8Array.of(pathLength))]),
  ]
  return { oid: oids.basicConstraints, critical: true, der: sequence(...fields) }
}

export function keyUsage(usages: readonly KeyUsage[]): Extension {
  return { oid: oids.keyUsage, critical: true, der: namedBits(usages.map((usage) => keyUsageBits[usage])) }
}

export function extKeyUsage(purposes: readonly string[]): Extension {
  return { oid: oids.extKeyUsage, critical: false, der: sequence(...purposes.map(oid)) }
}

export function subjectKeyIdentifier(keyIdentifier: Uint8Array): Extension {
  return { oid: oids.subjectKeyIdentifier, critical: false, der: octetString(keyIdentifier) }
}

export function authorityKeyIdentifier(keyIdentifier: Uint8Array): Extension {
  const value = sequence(der(contextTag(0, 'primitive'), keyIdentifier))
  return { oid: oids.authorityKeyIdentifier, critical: false, der: value }
}

/** Critical when the subject is empty, because then it alone says who this is (§4.2.1.6). */
export function subjectAltName(names: readonly GeneralName[], subjectIsEmpty: boolean): Extension {
  return { oid: oids.subjectAltName, critical: subjectIsEmpty, der: sequence(...names.map(encodeGeneralName)) }
}

export function certificatePolicies(policies: readonly string[]): Extension {
  return { oid: oids.certificatePolicies, critical: false, der: sequence(...policies.map((p) => sequence(oid(p)))) }
}

/** URIs below this authority may name exactly this host (§4.2.1.10); names of other kinds stay free. */
export function permitUriHost(host: string): Extension {
  const permitted = der(contextTag(0, 'constructed'), sequence(encodeGeneralName({ uri: host })))
  return { oid: oids.nameConstraints, critical: true, der: sequence(permitted) }
}

/** RFC 9608 §2: nobody will publish a revocation of this certificate; it ends soon by itself. */
export function noRevAvail(): Extension {
  return { oid: oids.noRevAvail, critical: false, der: der(tags.null) }
}

/* What we read. Each throws X509Error MALFORMED. */

export function readBasicConstraints(value: Uint8Array): { readonly ca: boolean; readonly pathLength?: number } {
  const reader = readSequence(value)
  const flag = reader.optional(tags.boolean)
  const ca = flag !== undefined && decodeBoolean(flag.content)
  const length = reader.optional(tags.integer)
  reader.end()
  return length === undefined ? { ca } : { ca, pathLength: decodeSmallInteger(length.content) }
}

export function readKeyUsage(value: Uint8Array): (usage: KeyUsage) => boolean {
  const reader = new DerReader(value)
  const bits = decodeNamedBits(reader.next(tags.bitString).content)
  reader.end()
  return (usage) => bits.has(keyUsageBits[usage])
}

export function readExtKeyUsage(value: Uint8Array): readonly string[] {
  const reader = readSequence(value)
  const purposes: string[] = []
  while (!reader.atEnd) purposes.push(decodeOid(reader.next(tags.oid).content))
  return purposes
}

export function readPolicies(value: Uint8Array): readonly string[] {
  const reader = readSequence(value)
  const policies: string[] = []
  while (!reader.atEnd) policies.push(decodeOid(reader.sequence().next(tags.oid).content)) // qualifiers say nothing to us
  return policies
}

export function readSubjectKeyIdentifier(value: Uint8Array): Uint8Array {
  const reader = new DerReader(value)
  const identifier = reader.next(tags.octetString).content
  reader.end()
  return identifier
}

/** The keyIdentifier, which is optional; issuer and serial are not used by anyone we know. */
export function readAuthorityKeyIdentifier(value: Uint8Array): Uint8Array | undefined {
  return readSequence(value).optional(contextTag(0, 'primitive'))?.content
}
