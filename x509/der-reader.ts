import { X509Error } from './errors.js'

/*
 * Reading DER (X.690 §10): one encoding per value, and nothing that depth or length could blow up. The reader never
 * recurses; who reads a structure says at each step what must come next.
 */

/** Identifier octets that X.509 uses. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const

/** A context-specific tag, `[n]`. */
export function contextTag(number: number, form: 'primitive' | 'constructed'): number {
  return (form === 'primitive' ? 0x80 : 0xa0) | number
}

export interface DerValue {
  readonly tag: number
  readonly content: Uint8Array
  /** Identifier and length octets included. */
  readonly raw: Uint8Array
}

/** Walks over the values in some bytes, one after the other. Every mismatch is an X509Error MALFORMED. */
export class DerReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  next(tag: number): DerValue {
    const value = this.any()
    if (value.tag !== tag) throw malformed(`expected tag ${hex(tag)}, got ${hex(value.tag)}`)
    return value
  }

  optional(tag: number): DerValue | undefined {
    return this.#bytes[this.#at] === tag ? this.any() : undefined
  }

  any(): DerValue {
    const start = this.#at
    const tag = this.#octet()
    if ((tag & 0x1f) === 0x1f) throw malformed('a tag number over 30')
    const length = this.#length()
    if (length > this.#bytes.length - this.#at) throw malformed('a value longer than what holds it')
    const content = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return { tag, content, raw: this.#bytes.subarray(start, this.#at) }
  }

  /** The values inside a SEQUENCE. */
  sequence(): DerReader {
    return new DerReader(this.next(tags.sequence).content)
  }

  end(): void {
    if (!this.atEnd) throw malformed('bytes after the end')
  }

  /** X.690 §10.1: definite, and in the fewest octets. */
  #length(): number {
    const first = this.#octet()
    if (first < 0x80) return first
    const octets = first & 0x7f
    if (octets === 0 || octets > 3) throw malformed('an indefinite or huge length')
    let length = 0
    for (let index = 0; index < octets; index++) length = length * 256 + this.#octet()
    if (length < 0x80 || length < 256 ** (octets - 1)) throw malformed('a length that is not minimal')
    return length
  }

  #octet(): number {
    const octet = this.#bytes[this.#at++]
    if (octet === undefined) throw malformed('truncated')
    return octet
  }
}

/** The inside of the one SEQUENCE that the bytes must be, from the first to the last. */
export function readSequence(bytes: Uint8Array): DerReader {
  const outer = new DerReader(bytes)
  const inner = outer.sequence()
  outer.end()
  return inner
}

/** Below it an arc takes seven more bits and is still an exact number; only arcs made of UUIDs are longer. */
const smallArc = 2 ** 46

/** X.690 §8.19, in the fewest octets. Bounded, because arcs may be longer than any number type of ours. */
export function decodeOid(content: Uint8Array): string {
  if (content.length === 0 || content.length > 64) throw malformed('an object identifier of odd length')
  if (((content.at(-1) ?? 0) & 0x80) !== 0) throw malformed('a truncated object identifier')
  const arcs: (number | bigint)[] = []
  let arc: number | bigint = 0
  let begins = true
  for (const octet of content) {
    if (begins && octet === 0x80) throw malformed('an object identifier that is not minimal')
    const bits = octet & 0x7f
    arc = typeof arc === 'number' && arc < smallArc ? arc * 128 + bits : (BigInt(arc) << 7n) | BigInt(bits)
    begins = (octet & 0x80) === 0
    if (!begins) continue
    arcs.push(arc)
    arc = 0
  }
  const [first = 0, ...rest] = arcs
  const root = first < 40 ? 0 : first < 80 ? 1 : 2
  const second = typeof first === 'number' ? first - root * 40 : first - BigInt(root * 40)
  return [root, second, ...rest].join('.')
}

export function decodeBoolean(content: Uint8Array): boolean {
  if (content.length !== 1 || (content[0] !== 0x00 && content[0] !== 0xff)) throw malformed('a boolean')
  return content[0] === 0xff
}

/** A small non-negative INTEGER, such as a version or a path length. */
export function decodeSmallInteger(content: Uint8Array): number {
  const [octet] = content
  if (content.length !== 1 || octet === undefined || octet > 0x7f) throw malformed('an integer out of range')
  return octet
}

/** A BIT STRING of whole octets: keys and signatures. */
export function decodeBitString(content: Uint8Array): Uint8Array {
  if (content[0] !== 0) throw malformed('a bit string with unused bits')
  return content.subarray(1)
}

/** The numbers of the bits that are set in a named bit list (KeyUsage). */
export function decodeNamedBits(content: Uint8Array): ReadonlySet<number> {
  const unused = content[0]
  if (unused === undefined || unused > 7 || content.length > 4) throw malformed('a list of named bits')
  const numbers = Array.from({ length: (content.length - 1) * 8 }, (_, bit) => bit)
  return new Set(numbers.filter((bit) => (((content[1 + (bit >> 3)] ?? 0) >> (7 - (bit & 7))) & 1) === 1))
}

/** UTCTime or GeneralizedTime in the one form that RFC 5280 §4.1.2.5 allows: to the second, in UTC. */
export function decodeTime(value: DerValue): Date {
  const text = Buffer.from(value.content).toString('latin1')
  const full = value.tag === tags.utcTime ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text
  if (value.tag !== tags.utcTime && value.tag !== tags.generalizedTime) throw malformed('a time of another type')
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(full)
  const iso = parts === null ? '' : `${parts.slice(1, 4).join('-')}T${parts.slice(4).join(':')}.000Z`
  const time = new Date(iso)
  if (Number.isNaN(time.getTime()) || time.toISOString() !== iso) throw malformed('a time')
  return time
}

export function malformed(problem: string, cause?: unknown): X509Error {
  return new X509Error('MALFORMED', `not DER as expected: ${problem}`, cause === undefined ? {} : { cause })
}

function hex(tag: number): string {
  return `0x${tag.toString(16).padStart(2, '0')}`
}
