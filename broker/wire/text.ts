import { malformed } from './refuse.js'

/** The text in a part of a packet. @throws BrokerError MALFORMED_PACKET unless it is UTF-8 without NUL (MQTT 5.0 §1.5.4) */
export function decodeText(bytes: Buffer, start: number, end: number): string {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    if (byte >= 0x80) return decodeUnicode(bytes.subarray(start, end))
    if (byte === 0) throw malformed('text with a NUL') // [MQTT-1.5.4-2]
  }
  return bytes.toString('latin1', start, end) // ASCII, the cheap way
}

/** Fatal, because a replaced byte could turn one topic into another; a BOM is a character like any other [MQTT-1.5.4-3]. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeUnicode(bytes: Uint8Array): string {
  if (bytes.includes(0)) throw malformed('text with a NUL') // [MQTT-1.5.4-2]
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw malformed('text that is not UTF-8', cause) // surrogates too: [MQTT-1.5.4-1]
  }
}
