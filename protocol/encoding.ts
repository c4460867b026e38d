import { ProtocolError } from './errors.js'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
/**
 * Two letters for each 12 bits: a join brings some thousands of letters, and text grows by pieces. Made as they are asked
 * for: all at once would be so much work that V8 loads its optimising compiler for it, which costs an agent 3 MB for good.
 */
const pairs = new Array<string | undefined>(4096).fill(undefined)
const sextets = valuesByCode((character) => alphabet.indexOf(character))
const nibbles = valuesByCode((character) => '0123456789abcdef'.indexOf(character.toLowerCase()))
/** Of a character that is none of the alphabet: more bits than any value has. */
const none = 0xff
const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** base64url without padding (RFC 4648 §5), the form of every binary field on the wire. */
export function encodeBase64url(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 3) {
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    text += pairOf(group >> 12) + pairOf(group & 4095)
  }
  return text.slice(0, Math.ceil((bytes.length * 4) / 3))
}

function pairOf(bits: number): string {
  return (pairs[bits] ??= `${alphabet[bits >> 6] ?? ''}${alphabet[bits & 63] ?? ''}`)
}

/** Accepts the canonical form only: no padding, no white space, no stray bits at the end. @throws ProtocolError INVALID_ENCODING */
export function decodeBase64url(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let bits = 0
  let width = 0
  let length = 0
  for (let at = 0; at < text.length; at++) {
    const sextet = sextets[text.charCodeAt(at)] ?? none
    if (sextet === none) throw new ProtocolError('INVALID_ENCODING', 'not base64url without padding')
    bits = ((bits << 6) | sextet) & 0xffff
    width += 6
    if (width >= 8) {
      width -= 8
      bytes[length++] = (bits >> width) & 0xff
    }
  }
  if (width >= 6 || (bits & ((1 << width) - 1)) !== 0) {
    throw new ProtocolError('INVALID_ENCODING', 'base64url text that does not end on a byte')
  }
  return bytes.subarray(0, length)
}

/** Base64 with its padding (RFC 4648 §4), canonical but for white space, which is passed over. @throws ProtocolError INVALID_ENCODING */
export function decodeBase64(text: string): Uint8Array {
  const dense = text.replace(/[\t\n\r ]+/g, '')
  if (dense.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(dense)) {
    throw new ProtocolError('INVALID_ENCODING', 'not base64 with its padding')
  }
  return decodeBase64url(dense.replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_'))
}

/** Lowercase hexadecimal. */
export function encodeHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += hexPairs[byte] ?? ''
  return text
}

/** @throws ProtocolError INVALID_ENCODING */
export function decodeHex(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(text.length / 2))
  for (let at = 0; at < bytes.length; at++) {
    const high = nibbles[text.charCodeAt(2 * at)] ?? none
    const low = nibbles[text.charCodeAt(2 * at + 1)] ?? none // beyond the end there is none either
    if (high === none || low === none) throw new ProtocolError('INVALID_ENCODING', 'not hexadecimal')
    bytes[at] = (high << 4) | low
  }
  return bytes
}

/** JSON in which bytes, Buffers too, are base64url text: what the decoders of this room read back. */
export function encodeJson(value: object): string {
  return JSON.stringify(value, bytesAsText)
}

/** Looks at the holder and not at the value, because a Buffer has by then turned itself into a list of numbers. */
function bytesAsText(this: Readonly<Record<string, unknown>>, name: string, value: unknown): unknown {
  const original = this[name]
  return original instanceof Uint8Array ? encodeBase64url(original) : value
}

/** ASCII only; `indexOf` answers -1 for none, which a byte holds as 255. */
function valuesByCode(valueOf: (character: string) => number): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => valueOf(String.fromCharCode(code)))
}
