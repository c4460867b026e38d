const none = 0xff

/** What each digit stands for, by its code. */
const values = new Uint8Array(128).fill(none)
for (let value = 0; value < 16; value++) values[value.toString(16).charCodeAt(0)] = value

/**
 * Writes so many bytes from twice as many lowercase hex digits; false where the text is anything else. By hand, because
 * to call for help takes longer than to do it.
 */
export function writeHex(into: Uint8Array, at: number, text: string, bytes: number): boolean {
  if (text.length !== 2 * bytes) return false
  let all = 0
  for (let index = 0; index < bytes; index++) {
    const high = values[text.charCodeAt(2 * index)] ?? none
    const low = values[text.charCodeAt(2 * index + 1)] ?? none
    all |= high | low
    into[at + index] = (high << 4) | low
  }
  return all < 16
}
