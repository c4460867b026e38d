import { tags } from './der-reader.js'

/** One DER value: identifier, length in the fewest octets, content (X.690 §10.1). */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, content) => sum + content.length, 0)
  return Buffer.concat([Uint8Array.of(tag), encodeLength(length), ...contents])
}

export function sequence(...items: readonly Uint8Array[]): Uint8Array {
  return der(tags.sequence, ...items)
}

/** A SET OF, its items in ascending order (X.690 §11.6). */
export function setOf(...items: readonly Uint8Array[]): Uint8Array {
  return taggedSetOf(tags.set, ...items)
}

/** The same under another tag (IMPLICIT). */
export function taggedSetOf(tag: number, ...items: readonly Uint8Array[]): Uint8Array {
  return der(tag, ...[...items].sort((a, b) => Buffer.compare(a, b)))
}

/** What was encoded before: all that we write is named in the code, and every certificate says it again. */
const written = new Map<string, Uint8Array>()

/** X.690 §8.19. Arcs may be of any size: UUID arcs under 2.25 have 128 bits. Never of a text that somebody sent. */
export function oid(text: string): Uint8Array {
  const known = written.get(text)
  if (known !== undefined) return known
  const [root = 0n, second = 0n, ...rest] = text.split('.').map(BigInt)
  const encoded = der(tags.oid, ...[root * 40n + second, ...rest].map(encodeArc))
  written.set(text, encoded)
  return encoded
}

/** A non-negative INTEGER from its big-endian magnitude. */
export function unsignedInteger(magnitude: Uint8Array): Uint8Array {
  const first = magnitude.findIndex((octet) => octet !== 0)
  const digits = first < 0 ? Uint8Array.of(0) : magnitude.subarray(first)
  return der(tags.integer, (digits[0] ?? 0) >= 0x80 ? Uint8Array.of(0) : Uint8Array.of(), digits)
}

export function boolean(value: boolean): Uint8Array {
  return der(tags.boolean, Uint8Array.of(value ? 0xff : 0x00))
}

export function bitString(octets: Uint8Array): Uint8Array {
  return der(tags.bitString, Uint8Array.of(0), octets)
}

/** A named bit list, without trailing zero bits (X.690 §11.2.2). */
export function namedBits(bits: readonly number[]): Uint8Array {
  const last = Math.max(...bits)
  const octets = new Uint8Array((last >> 3) + 1)
  for (const bit of bits) octets[bit >> 3] = (octets[bit >> 3] ?? 0) | (0x80 >> (bit & 7))
  return der(tags.bitString, Uint8Array.of(7 - (last & 7)), octets)
}

export function octetString(octets: Uint8Array): Uint8Array {
  return der(tags.octetString, octets)
}

export function utf8String(text: string): Uint8Array {
  return der(tags.utf8String, Buffer.from(text, 'utf8'))
}

/** UTCTime through 2049, GeneralizedTime after (RFC 5280 §4.1.2.5); fractions of a second are dropped. */
export function time(date: Date): Uint8Array {
  const digits = `${date.toISOString().slice(0, 19).replace(/[-T:]/g, '')}Z`
  return date.getUTCFullYear() < 2050
    ? der(tags.utcTime, Buffer.from(digits.slice(2), 'latin1'))
    : der(tags.generalizedTime, Buffer.from(digits, 'latin1'))
}

function encodeLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length)
  const octets: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return Uint8Array.of(0x80 | octets.length, ...octets)
}

function encodeArc(arc: bigint): Uint8Array {
  const octets = [Number(arc & 0x7fn)]
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) octets.unshift(Number(rest & 0x7fn) | 0x80)
  return Uint8Array.from(octets)
}
