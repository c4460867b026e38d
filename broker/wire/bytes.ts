/* What packets are written with. */

/** How many bytes a variable byte integer takes (MQTT 5.0 §1.5.5). */
export function variableIntegerBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4
}

/** Returns where it ends. */
export function writeVariableInteger(value: number, into: Uint8Array, at: number): number {
  let rest = value
  while (rest >= 0x80) {
    into[at++] = (rest & 0x7f) | 0x80
    rest >>= 7
  }
  into[at++] = rest
  return at
}

/** Returns where it ends. */
export function writeUint16(value: number, into: Uint8Array, at: number): number {
  into[at] = value >> 8
  into[at + 1] = value
  return at + 2
}

/** Returns where it ends. */
export function writeUint32(value: number, into: Uint8Array, at: number): number {
  return writeUint16(value & 0xffff, into, writeUint16(value >>> 16, into, at))
}

/** With its length in front, as texts and binary data are (MQTT 5.0 §1.5.4, §1.5.6). */
export function prefixed(bytes: Uint8Array): Buffer {
  if (bytes.length > 0xffff) throw new RangeError(`a field of ${bytes.length} bytes`)
  return Buffer.concat([Uint8Array.of(bytes.length >> 8, bytes.length), bytes])
}

/** The text's UTF-8, cut off before the character that would make it longer. */
export function boundedText(text: string, maxBytes: number): Buffer {
  const bytes = Buffer.from(text)
  let end = Math.min(bytes.length, maxBytes)
  while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.subarray(0, end)
}
