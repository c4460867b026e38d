import { isIPv4, isIPv6 } from 'node:net'
import { contextTag, decodeOid, DerReader, type DerValue, malformed, readSequence, tags } from './der-reader.js'
import { der, oid, sequence, setOf, utf8String } from './der-writer.js'

/** One attribute of a distinguished name, such as commonName. */
export interface NameAttribute {
  /** The attribute type, an object identifier. */
  readonly type: string
  readonly value: string
}

/** GeneralName (RFC 5280 §4.2.1.6), of the kinds that we write. */
export type GeneralName =
  | { readonly uri: string }
  | { readonly dns: string }
  | { readonly ip: string }
  | { readonly directory: readonly NameAttribute[] }

/** The tags of GeneralName's choices. */
export const generalNameTags = {
  dns: contextTag(2, 'primitive'),
  directory: contextTag(4, 'constructed'),
  uri: contextTag(6, 'primitive'),
  ip: contextTag(7, 'primitive'),
} as const

/** A Name whose relative distinguished names have one attribute each. */
export function encodeName(attributes: readonly NameAttribute[]): Uint8Array {
  return sequence(...attributes.map(({ type, value }) => setOf(sequence(oid(type), utf8String(value)))))
}

export function encodeGeneralName(name: GeneralName): Uint8Array {
  if ('uri' in name) return der(generalNameTags.uri, Buffer.from(name.uri, 'latin1'))
  if ('dns' in name) return der(generalNameTags.dns, Buffer.from(name.dns, 'latin1'))
  if ('ip' in name) return der(generalNameTags.ip, encodeIp(name.ip))
  return der(generalNameTags.directory, encodeName(name.directory))
}

/** The texts that a Name holds for one attribute type, in order. @throws X509Error MALFORMED */
export function readAttribute(name: Uint8Array, type: string): readonly string[] {
  const values: string[] = []
  const relativeNames = readSequence(name)
  while (!relativeNames.atEnd) {
    const attributes = new DerReader(relativeNames.next(tags.set).content)
    while (!attributes.atEnd) {
      const attribute = attributes.sequence()
      const isWanted = decodeOid(attribute.next(tags.oid).content) === type
      const value = attribute.any()
      attribute.end()
      if (isWanted) values.push(readText(value))
    }
  }
  return values
}

/**
 * Whether two Names are the same text. Nearly every CA copies its name byte by byte; STMicroelectronics and Microsoft
 * write some of theirs as UTF8String here and as PrintableString there, which RFC 5280 §7.1 calls the same. So octets
 * may differ where both are such a tag. Nothing rests on it: it chooses whose signature to look for, and which names a
 * request may repeat.
 */
export function isSameName(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, at) => octet === b[at] || (isTextTag(octet) && isTextTag(b[at])))
}

function isTextTag(octet: number | undefined): boolean {
  return octet === tags.utf8String || octet === tags.printableString
}

/** The names in a GeneralNames extension value, undecoded. @throws X509Error MALFORMED */
export function readGeneralNames(value: Uint8Array): readonly DerValue[] {
  const names: DerValue[] = []
  const reader = readSequence(value)
  while (!reader.atEnd) names.push(reader.any())
  return names
}

/** ASCII text of a URI or DNS name. @throws X509Error MALFORMED */
export function readAscii(content: Uint8Array): string {
  if (content.some((octet) => octet < 0x21 || octet > 0x7e)) throw malformed('a name with other than ASCII letters')
  return Buffer.from(content).toString('latin1')
}

/** UTF8String or PrintableString, as RFC 5280 §4.1.2.4 wants names written. */
function readText(value: DerValue): string {
  if (value.tag !== tags.utf8String && value.tag !== tags.printableString)
    throw malformed('a name of another text type')
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value.content)
  } catch (cause) {
    throw malformed('a name that is not UTF-8', cause)
  }
}

function encodeIp(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split('.').map(Number))
  if (!isIPv6(address)) throw new TypeError(`not an IP address: ${JSON.stringify(address)}`)
  // URL writes any IPv6 address as groups in hexadecimal with at most one "::".
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const left = head.split(':').filter((group) => group !== '')
  const right = (tail ?? '').split(':').filter((group) => group !== '')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return Uint8Array.from(
    [...left, ...zeros, ...right].flatMap((group) => {
      const value = Number.parseInt(group, 16)
      return [value >> 8, value & 0xff]
    }),
  )
}
