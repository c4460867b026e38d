import { maxEntryBytes } from '../entries/write-entry.js'
import { beginsBatch, headerBytes, lengthAt, readRecord } from './wal-record.js'

/*
 * What a crash may leave where a batch was written and not yet synced: a file that ends too early, or sectors that were
 * given to the file and never filled. The writer begins a batch only when the one before it is synced. So what comes
 * before the beginning of another batch was promised to somebody, and damage there is no crash's work.
 */

/** The least that a disk writes whole. */
const sectorBytes = 512

/** Fewer blank bytes than this can be part of a record's length. */
const leastBlankBytes = 4

/** What fills the reserve before it is written to, see reserve.ts; no record begins with it. */
export const unusedByte = 0xff

/** Whether the rest of a segment's bytes, from a record that is not whole, is what a crash leaves. `offset` is theirs in the file. */
export function isTornBatch(bytes: Buffer, at: number, offset: number): boolean {
  if (hasUnwrittenSector(bytes, at, offset)) return !holdsRecord(bytes, at + 1, beginsBatch)
  // A damaged length can make a record look cut short; but then there are others behind it.
  return readRecord(bytes, at) === 'torn' && !holdsRecord(bytes, at + 1)
}

/** Whether from here on there is only room that was allocated for records to come. */
export function isUnused(bytes: Buffer, at: number): boolean {
  return bytes[at] === unusedByte && isBlank(bytes, at, bytes.length)
}

function hasUnwrittenSector(bytes: Buffer, at: number, offset: number): boolean {
  const end = Math.min(endOfRecord(bytes, at), bytes.length)
  for (let from = at; from < end;) {
    const to = Math.min(from + sectorBytes - ((offset + from) % sectorBytes), bytes.length)
    if (to - from >= leastBlankBytes && isBlank(bytes, from, to)) return true
    from = to
  }
  return false
}

/** Of its head alone where the length cannot be one. */
function endOfRecord(bytes: Buffer, at: number): number {
  const body = at + headerBytes
  if (body > bytes.length) return bytes.length
  const length = lengthAt(bytes, at)
  return length > maxEntryBytes ? body : body + length
}

function isBlank(bytes: Buffer, from: number, to: number): boolean {
  const isFill = bytes[from] === 0 || bytes[from] === unusedByte
  return isFill && bytes.compare(bytes, from, to - 1, from + 1, to) === 0 // each byte is like the one before it
}

function holdsRecord(bytes: Buffer, from: number, matches = (_bytes: Buffer, _at: number) => true): boolean {
  for (let at = from; at + headerBytes < bytes.length; at++) {
    if (matches(bytes, at) && typeof readRecord(bytes, at) !== 'string') return true
  }
  return false
}
