/**
 * Follows the packets in what a program sends, and calls `tooLarge` when one announces more than `maxBytes` (MQTT 3.1.1
 * §2.2.3) or no length at all: the parser behind it would wait for up to 256 MiB of it, and keep all that comes.
 */
export function watchFrames(maxBytes: number, tooLarge: () => void): (chunk: Uint8Array) => void {
  let toSkip = 0
  /** Of the fixed header: undefined before its first byte, then how many bytes of the length were there. */
  let lengthBytes: number | undefined
  let length = 0
  return (chunk) => {
    let at = 0
    while (at < chunk.length) {
      if (toSkip > 0) {
        const skipped = Math.min(toSkip, chunk.length - at)
        toSkip -= skipped
        at += skipped
        continue
      }
      const byte = chunk[at++] ?? 0
      if (lengthBytes === undefined) {
        lengthBytes = 0
        length = 0
        continue
      }
      length += (byte & 0x7f) * 128 ** lengthBytes++
      if (length + 1 + lengthBytes > maxBytes) return tooLarge()
      if (byte & 0x80) {
        if (lengthBytes === 4) return tooLarge()
        continue
      }
      toSkip = length
      lengthBytes = undefined
    }
  }
}
