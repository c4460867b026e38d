import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { sessionNameBytes } from '#protocol'
import { AuditError } from '../errors.js'
import { writeHex } from './hex.js'

/*
 * The part of CBOR that entries use, in its deterministic form (RFC 8949 §4.2.1): shortest heads, definite lengths,
 * map keys in the order of their bytes. One value has one encoding, and anything else is refused when it is read.
 */

const unsigned = 0
const negative = 1
const byteString = 2
const textString = 3
const array = 4
const map = 5
const falseByte = 0xf4
const trueByte = 0xf5

/** Text over this many bytes is stored as its beginning, its length and its SHA-256. */
const longestTextBytes = 1024
const keptTextBytes = 256
/** Longer text is quicker written by the runtime. */
const longestByHand = 128

/**
 * Writes values one after another into a buffer, and never past `end`. It runs for every field of every message's record
 * on the broker's thread: so bytes are put one by one where that is quicker than to call for help.
 * @throws AuditError AUDIT_INVALID for what does not fit, or is no value of the kind; but TypeError for text that is none
 */
export class CborWriter {
  #buffer: Buffer
  #end: number
  at: number

  constructor(buffer: Buffer, at: number, end: number) {
    this.#buffer = buffer
    this.at = at
    this.#end = end
  }

  /** Goes on elsewhere: one writer does for many entries. */
  moveTo(buffer: Buffer, at: number, end: number): void {
    this.#buffer = buffer
    this.at = at
    this.#end = end
  }

  map(size: number): void {
    this.#head(map, size)
  }

  array(size: number): void {
    this.#head(array, size)
  }

  /** Of a map; at most 23, which is its own head. */
  key(value: number): void {
    this.#reserve(1)
    this.#buffer[this.at++] = value
  }

  integer(value: number): void {
    if (!Number.isSafeInteger(value)) throw new AuditError('AUDIT_INVALID', `not a whole number: ${value}`)
    if (value >= 0) this.#head(unsigned, value)
    else this.#head(negative, -1 - value)
  }

  boolean(value: boolean): void {
    if (typeof value !== 'boolean') throw notA('boolean')
    this.#reserve(1)
    this.#buffer[this.at++] = value ? trueByte : falseByte
  }

  bytes(value: Uint8Array): void {
    this.#head(byteString, value.length)
    this.#reserve(value.length)
    this.#buffer.set(value, this.at)
    this.at += value.length
  }

  sessionName(value: string): void {
    this.#head(byteString, sessionNameBytes)
    this.#reserve(sessionNameBytes)
    if (!writeHex(this.#buffer, this.at, value, sessionNameBytes)) throw notA('name of a session')
    this.at += sessionNameBytes
  }

  text(value: string): void {
    if (value.length <= longestByHand && this.#asciiText(value)) return
    const length = Buffer.byteLength(value)
    if (length > longestTextBytes) this.#shortened(value, length)
    else this.#wholeText(value, length)
  }

  texts(values: readonly string[]): void {
    if (!Array.isArray(values)) throw notA('list')
    this.#head(array, values.length)
    for (const value of values) this.text(value)
  }

  textMap(values: Readonly<Record<string, string>>): void {
    const sorted = Object.keys(values)
      .map((key) => ({ key, bytes: Buffer.from(key) }))
      .sort((one, other) => byEncodedBytes(one.bytes, other.bytes))
    // Keys that differ only in what is no Unicode are one key in UTF-8; the first is kept.
    const keys = sorted.filter(({ bytes }, at) => !sorted[at - 1]?.bytes.equals(bytes))
    this.#head(map, keys.length)
    for (const { key, bytes } of keys) {
      this.#wholeText(key, bytes.length)
      this.text(values[key] ?? '')
    }
  }

  /** Names and topics are nearly always short and ASCII. Where one is not, nothing has been written. */
  #asciiText(value: string): boolean {
    const start = this.at
    const buffer = this.#buffer
    const { length } = value
    this.#head(textString, length)
    this.#reserve(length)
    let at = this.at
    let all = 0
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index)
      all |= code
      buffer[at++] = code
    }
    const isAscii = all < 0x80
    this.at = isAscii ? at : start
    return isAscii
  }

  #wholeText(value: string, length: number): void {
    this.#head(textString, length)
    this.#reserve(length)
    this.#buffer.write(value, this.at, length)
    this.at += length
  }

  #shortened(value: string, length: number): void {
    const bytes = Buffer.from(value)
    let kept = keptTextBytes
    while (((bytes[kept] ?? 0) & 0xc0) === 0x80) kept-- // a character stays whole
    this.#head(array, 3)
    this.#wholeText(bytes.toString('utf8', 0, kept), kept)
    this.#head(unsigned, length)
    this.bytes(createHash('sha256').update(bytes).digest())
  }

  #head(major: number, argument: number): void {
    this.#reserve(9)
    const type = major << 5
    if (argument < 24) this.#buffer[this.at++] = type | argument
    else if (argument < 0x100) {
      this.#buffer[this.at++] = type | 24
      this.#buffer[this.at++] = argument
    } else if (argument < 0x10000) {
      this.#buffer[this.at++] = type | 25
      this.#buffer[this.at++] = argument >> 8
      this.#buffer[this.at++] = argument & 0xff
    } else if (argument < 0x100000000) {
      this.#buffer[this.at++] = type | 26
      this.#word(argument)
    } else {
      this.#buffer[this.at++] = type | 27
      this.#word(Math.floor(argument / 0x100000000))
      this.#word(argument % 0x100000000)
    }
  }

  /** 32 bits. */
  #word(value: number): void {
    this.#buffer[this.at++] = value >>> 24
    this.#buffer[this.at++] = (value >>> 16) & 0xff
    this.#buffer[this.at++] = (value >>> 8) & 0xff
    this.#buffer[this.at++] = value & 0xff
  }

  #reserve(length: number): void {
    if (this.at + length > this.#end) throw new AuditError('AUDIT_INVALID', 'the entry is too large')
  }
}

function notA(kind: string): AuditError {
  return new AuditError('AUDIT_INVALID', `not a ${kind}`)
}

/** Reads what {@link CborWriter} writes and nothing else. @throws AuditError AUDIT_INVALID */
export class CborReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** To be called after the last value: nothing may follow it. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw this.#invalid('bytes after the end')
  }

  map(): number {
    return this.#head(map)
  }

  array(): number {
    return this.#head(array)
  }

  integer(): number {
    return this.#majorType() === negative ? -1 - this.#head(negative) : this.#head(unsigned)
  }

  boolean(): boolean {
    const byte = this.#byte()
    if (byte !== falseByte && byte !== trueByte) throw this.#invalid('neither true nor false')
    return byte === trueByte
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#take(this.#head(byteString)))
  }

  skipBytes(): void {
    this.#pass(this.#head(byteString))
  }

  sessionName(): string {
    const from = this.#at + 1
    this.skipSessionName()
    return this.#bytes.toString('hex', from, this.#at)
  }

  skipSessionName(): void {
    if (this.#head(byteString) !== sessionNameBytes) throw this.#invalid('not the name of a session')
    this.#pass(sessionNameBytes)
  }

  /** Text that was shortened comes back as its beginning and a note of what it was. */
  text(): string {
    return this.#majorType() === array ? this.#shortened() : this.#wholeText(longestTextBytes)
  }

  /** As strict as `text`, for whoever only asks whether it is one. */
  skipText(): void {
    if (this.#majorType() === array) this.#shortened()
    else this.#pass(this.#textLength(longestTextBytes))
  }

  texts(): readonly string[] {
    const values: string[] = []
    for (let left = this.#head(array); left > 0; left--) values.push(this.text())
    return values
  }

  skipTexts(): void {
    for (let left = this.#head(array); left > 0; left--) this.skipText()
  }

  textMap(): Readonly<Record<string, string>> {
    const entries: [string, string][] = []
    let previous: Buffer | undefined
    for (let left = this.#head(map); left > 0; left--) {
      const key = this.#wholeText(Infinity)
      const bytes = Buffer.from(key)
      if (previous && byEncodedBytes(previous, bytes) >= 0) throw this.#invalid('map keys out of order')
      previous = bytes
      entries.push([key, this.text()])
    }
    return Object.fromEntries(entries)
  }

  #wholeText(maxBytes: number): string {
    const length = this.#textLength(maxBytes)
    const from = this.#at
    this.#pass(length)
    return this.#bytes.toString('utf8', from, this.#at)
  }

  /** Of the text that comes next, of which by then every byte was looked at. Nearly all is ASCII. */
  #textLength(maxBytes: number): number {
    const length = this.#head(textString)
    if (length > maxBytes) throw this.#invalid('text that should have been shortened')
    const end = this.#at + length
    if (end > this.#bytes.length) throw this.#invalid('ends too early')
    let all = 0
    for (let at = this.#at; at < end; at++) all |= this.#bytes[at] ?? 0
    if (all >= 0x80 && !isUtf8(this.#bytes.subarray(this.#at, end))) throw this.#invalid('not UTF-8')
    return length
  }

  #shortened(): string {
    if (this.#head(array) !== 3) throw this.#invalid('neither text nor shortened text')
    const kept = this.#wholeText(keptTextBytes)
    const length = this.#head(unsigned)
    const digest = this.bytes()
    if (length <= longestTextBytes || digest.length !== 32) throw this.#invalid('not a shortened text')
    return `${kept}… [${length} bytes, SHA-256 ${Buffer.from(digest).toString('hex')}]`
  }

  #majorType(): number {
    return (this.#bytes[this.#at] ?? 0xff) >> 5
  }

  #head(major: number): number {
    const first = this.#byte()
    if (first >> 5 !== major) throw this.#invalid(`major type ${first >> 5}, expected ${major}`)
    const info = first & 31
    if (info < 24) return info
    if (info > 27) throw this.#invalid('not a definite length')
    const width = 1 << (info - 24)
    let argument = 0
    for (let left = width; left > 0; left--) argument = argument * 256 + this.#byte()
    const least = width === 1 ? 24 : 2 ** (4 * width)
    if (argument < least || !Number.isSafeInteger(argument)) throw this.#invalid('not the shortest form')
    return argument
  }

  #byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw this.#invalid('ends too early')
    this.#at++
    return byte
  }

  #take(length: number): Buffer {
    const from = this.#at
    this.#pass(length)
    return this.#bytes.subarray(from, this.#at)
  }

  #pass(length: number): void {
    if (length > this.#bytes.length - this.#at) throw this.#invalid('ends too early')
    this.#at += length
  }

  #invalid(problem: string): AuditError {
    return new AuditError('AUDIT_INVALID', `entry, byte ${this.#at}: ${problem}`)
  }
}

/** RFC 8949 §4.2.1: the encoded head makes a shorter key the smaller one. */
function byEncodedBytes(one: Buffer, other: Buffer): number {
  return one.length - other.length || Buffer.compare(one, other)
}
