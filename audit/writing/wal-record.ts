import { crc32c } from '#protocol'
import { maxEntryBytes } from '../entries/write-entry.js'

/*
 * A record as the write-ahead log holds it: `[u32 length][u32 CRC-32C of the length and the entry][entry]`, big-endian.
 * The highest bit of the length marks the first record of a batch: all before it was synced when it was written.
 */

export const headerBytes = 8

const batchMark = 0x80

/** Makes a batch of records that were written with room for their checksums: fills them in, marks where it begins, and counts. */
export function sealRecords(records: Buffer): number {
  let count = 0
  if (records.length > 0) records.writeUInt8(batchMark, 0)
  for (let at = 0; at < records.length; count++) {
    const end = at + headerBytes + lengthAt(records, at)
    records.writeUInt32BE(checksum(records, at, end), at + 4)
    at = end
  }
  return count
}

/** The entries of records that are known to be whole. */
export function* recordsOf(records: Buffer): Generator<Uint8Array, undefined> {
  const { buffer, byteOffset } = records
  for (let at = 0; at < records.length;) {
    const length = lengthAt(records, at)
    yield new Uint8Array(buffer, byteOffset + at + headerBytes, length)
    at += headerBytes + length
  }
  return undefined
}

/** The record at a place, `torn` where the bytes end before it does, or `bad` where it is not what was written. */
export function readRecord(bytes: Buffer, at: number): Buffer | 'torn' | 'bad' {
  if (bytes.length - at < headerBytes) return 'torn'
  const length = lengthAt(bytes, at)
  if (length > maxEntryBytes) return 'bad'
  const end = at + headerBytes + length
  if (end > bytes.length) return 'torn'
  return checksum(bytes, at, end) === bytes.readUInt32BE(at + 4) ? bytes.subarray(at + headerBytes, end) : 'bad'
}

/** Whether the record at a place is the first of a batch. */
export function beginsBatch(bytes: Buffer, at: number): boolean {
  return bytes[at] === batchMark
}

export function lengthAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) & 0x7fff_ffff
}

function checksum(bytes: Uint8Array, at: number, end: number): number {
  return crc32c(bytes, at + headerBytes, end, crc32c(bytes, at, at + 4))
}
