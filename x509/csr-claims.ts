import { decodeCertificate, readExtensions } from './certificate.js'
import { readCsr } from './csr.js'
import { decodeOid, DerReader, type DerValue, malformed, readSequence, tags } from './der-reader.js'
import { isSameName } from './names.js'
import { oids } from './oids.js'

/** What a request says beside its key. It is there to be held against what is known, and never to be believed. */
export interface CsrClaims {
  /** DER Name. */
  readonly subject: Uint8Array
  /** DER GeneralNames, where it asks for some (RFC 2985 §5.4.2). */
  readonly subjectAltName?: Uint8Array
  /** RFC 2985 §5.4.1. */
  readonly challengePassword?: string
}

/** The signature is not looked at: that is for decodeCsr. @throws X509Error MALFORMED, TOO_LARGE */
export function readCsrClaims(csr: Uint8Array): CsrClaims {
  const { subject, attributes } = readCsr(csr)
  const values = readAttributes(attributes)
  const requested = values.get(oids.extensionRequest)
  const subjectAltName = readExtensions(requested?.raw).get(oids.subjectAltName)?.der
  const password = values.get(oids.challengePassword)
  return {
    subject,
    ...(subjectAltName !== undefined && { subjectAltName }),
    ...(password !== undefined && { challengePassword: readPassword(password) }),
  }
}

/** Whether a request names nobody but the holder of a certificate, wherever it names anybody. @throws X509Error MALFORMED */
export function isNamedAs({ subject, subjectAltName }: CsrClaims, certificateDer: Uint8Array): boolean {
  const certificate = decodeCertificate(certificateDer)
  const names = certificate.extensions.get(oids.subjectAltName)?.der
  const isNameless = readSequence(subject).atEnd
  return (
    (isNameless || isSameName(subject, certificate.subject)) &&
    (subjectAltName === undefined || (names !== undefined && Buffer.compare(subjectAltName, names) === 0))
  )
}

/** Of each attribute its one value (RFC 2986 §4.1): those that we know are single-valued, and no others are looked at. */
function readAttributes(content: Uint8Array): ReadonlyMap<string, DerValue> {
  const values = new Map<string, DerValue>()
  const attributes = new DerReader(content)
  while (!attributes.atEnd) {
    const attribute = attributes.sequence()
    const type = decodeOid(attribute.next(tags.oid).content)
    const set = new DerReader(attribute.next(tags.set).content)
    attribute.end()
    if (type !== oids.extensionRequest && type !== oids.challengePassword) continue
    if (values.has(type)) throw malformed(`attribute ${type} twice`)
    values.set(type, set.any())
    set.end()
  }
  return values
}

/** Of the types of text that a DirectoryString and its forebears can be, those that hold one octet for an ASCII letter. */
const passwordTags: readonly number[] = [tags.utf8String, tags.printableString, tags.t61String, tags.ia5String]

function readPassword({ tag, content }: DerValue): string {
  if (!passwordTags.includes(tag)) throw malformed('a challenge password of another type')
  return Buffer.from(content).toString('latin1')
}
