import { decodeCertificate } from './certificate.js'
import { contextTag, decodeOid, DerReader, type DerValue, readSequence, tags } from './der-reader.js'
import { readAttribute, readGeneralNames } from './names.js'
import { oids } from './oids.js'

/** As long as a serialNumber may be (RFC 5280 appendix A.1, ub-serial-number), and more than makers use. */
const maxSerialLength = 64

/**
 * By which serial numbers its maker names the machine that a certificate was put into: `serialNumber` of the subject
 * (IEEE 802.1AR §8.6) and `hwSerialNum` of a hardwareModuleName (RFC 4108 §5), as text where it is text, else in hex. What
 * is longer, or could not be typed, names nothing. @throws X509Error MALFORMED, TOO_LARGE
 */
export function readHardwareSerials(der: Uint8Array): readonly string[] {
  const { subject, extensions } = decodeCertificate(der)
  const extension = extensions.get(oids.subjectAltName)
  const names = extension === undefined ? [] : readGeneralNames(extension.der)
  const serials = [...readAttribute(subject, oids.serialNumber), ...names.flatMap(readModuleSerial)]
  return [...new Set(serials.filter(isTypeable))]
}

const otherName = contextTag(0, 'constructed')

/** `OtherName ::= SEQUENCE { type-id, value [0] EXPLICIT }` of the type `SEQUENCE { hwType OID, hwSerialNum OCTET STRING }`. */
function readModuleSerial({ tag, content }: DerValue): readonly string[] {
  if (tag !== otherName) return []
  const name = new DerReader(content)
  if (decodeOid(name.next(tags.oid).content) !== oids.hardwareModuleName) return []
  const value = readSequence(name.next(contextTag(0, 'constructed')).content)
  name.end()
  decodeOid(value.next(tags.oid).content)
  const serial = Buffer.from(value.next(tags.octetString).content)
  value.end()
  const text = serial.toString('latin1')
  return [isTypeable(text) ? text : serial.toString('hex')]
}

function isTypeable(serial: string): boolean {
  return serial.length <= maxSerialLength && /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(serial)
}
