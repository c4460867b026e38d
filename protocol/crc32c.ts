/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4) of the bytes between two places, or, with the CRC of what came `before`
 * them, of all as if it were one. Every audit record is summed up on its way to the disk, so eight bytes go in at a time.
 */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length, before = 0): number {
  let crc = ~before
  let at = from
  for (; at + 8 <= to; at += 8) {
    crc =
      behind(7, crc ^ byte(bytes, at)) ^
      behind(6, (crc >>> 8) ^ byte(bytes, at + 1)) ^
      behind(5, (crc >>> 16) ^ byte(bytes, at + 2)) ^
      behind(4, (crc >>> 24) ^ byte(bytes, at + 3)) ^
      behind(3, byte(bytes, at + 4)) ^
      behind(2, byte(bytes, at + 5)) ^
      behind(1, byte(bytes, at + 6)) ^
      behind(0, byte(bytes, at + 7))
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ behind(0, crc ^ byte(bytes, at))
  return ~crc >>> 0
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0
}

/** What a byte makes of the CRC when so many zeros come behind it. */
function behind(zeros: number, value: number): number {
  return table[(zeros << 8) | (value & 0xff)] ?? 0
}

const table = new Int32Array(8 * 256)
for (let value = 0; value < 256; value++) {
  let crc = value
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  table[value] = crc
}
for (let at = 256; at < table.length; at++) {
  const crc = table[at - 256] ?? 0
  table[at] = (crc >>> 8) ^ behind(0, crc)
}
