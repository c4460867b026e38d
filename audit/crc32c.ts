/** CRC-32C (Castagnoli, RFC 3720 appendix B.4) over several pieces as if they were one. */
export function crc32c(...pieces: readonly Uint8Array[]): number {
  let crc = 0xffffffff
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at++) crc = (crc >>> 8) ^ (table[(crc ^ (piece[at] ?? 0)) & 0xff] ?? 0)
  }
  return ~crc >>> 0
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})
