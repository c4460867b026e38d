import { ProtocolError } from './errors.js'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const sextets = new Map([...alphabet].map((letter, value) => [letter, value]))

/** base64url without padding (RFC 4648 §5), the form of every binary field on the wire. */
export function encodeBase64url(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 3) {
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    const letters = Math.min(bytes.length - at, 3) + 1
    for (let letter = 0; letter < letters; letter++) text += alphabet[(group >> (18 - 6 * letter)) & 63]
  }
  return text
}

/** Accepts the canonical form only: no padding, no white space, no stray bits at the end. @throws ProtocolError INVALID_ENCODING */
export function decodeBase64url(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let bits = 0
  let width = 0
  let length = 0
  for (const letter of text) {
    const sextet = sextets.get(letter)
    if (sextet === undefined) throw new ProtocolError('INVALID_ENCODING', 'not base64url without padding')
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

/** Lowercase hexadecimal. */
export function encodeHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

/** @throws ProtocolError INVALID_ENCODING */
export function decodeHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text))
    throw new ProtocolError('INVALID_ENCODING', 'not hexadecimal')
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => Number.parseInt(text.slice(2 * at, 2 * at + 2), 16))
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
