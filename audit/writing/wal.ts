import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { crc32c } from './crc32c.js'
import { maxEntryBytes } from '../entries/entry.js'
import { AuditError } from '../errors.js'

/*
 * The write-ahead log: records that no checkpoint covers yet. One segment is a run of records, each
 * `[u32 length][u32 CRC-32C of the length and the entry][entry]`, big-endian; the segment's name is the sequence
 * number of its first record.
 */

export const headerBytes = 8

/** Whoever reads shares the thread: after so many records others get their turn. */
const recordsPerTurn = 256

export interface SegmentName {
  readonly first: number
  readonly name: string
}

export function segmentName(first: number): string {
  return `${String(first).padStart(16, '0')}.seg`
}

/** In the order of their records. A folder that does not exist holds none. */
export async function listSegments(folder: string): Promise<readonly SegmentName[]> {
  const names = await readdir(folder).catch(orNothing([]))
  return names
    .filter((name) => /^[0-9]{16}\.seg$/.test(name))
    .sort()
    .map((name) => ({ name, first: Number.parseInt(name, 10) }))
}

/** Fills in the checksums of records that were written with room for them. */
export function sealRecords(records: Buffer): void {
  for (let at = 0; at < records.length;) {
    const end = at + headerBytes + records.readUInt32BE(at)
    records.writeUInt32BE(checksum(records, at, end), at + 4)
    at = end
  }
}

/** The entries of records that are known to be whole. */
export function* recordsOf(records: Buffer): Iterable<Uint8Array> {
  const { buffer, byteOffset } = records
  for (let at = 0; at < records.length;) {
    const length = records.readUInt32BE(at)
    yield new Uint8Array(buffer, byteOffset + at + headerBytes, length)
    at += headerBytes + length
  }
}

/** The record at a place, `torn` where the bytes end before it does, or `bad` where it is not what was written. */
export function readRecord(bytes: Buffer, at: number): Buffer | 'torn' | 'bad' {
  if (bytes.length - at < headerBytes) return 'torn'
  const length = bytes.readUInt32BE(at)
  if (length > maxEntryBytes) return 'bad'
  const end = at + headerBytes + length
  if (end > bytes.length) return 'torn'
  return checksum(bytes, at, end) === bytes.readUInt32BE(at + 4) ? bytes.subarray(at + headerBytes, end) : 'bad'
}

function checksum(bytes: Uint8Array, at: number, end: number): number {
  return crc32c(bytes, at + headerBytes, end, crc32c(bytes, at, at + 4))
}

/** A place between two records. */
export interface WalPosition {
  readonly sequence: number
  readonly segment: string
  readonly at: number
}

export interface WalEntry {
  readonly sequence: number
  readonly entry: Buffer
  /** Where reading can go on after this record. */
  readonly end: WalPosition
}

/** What a segment ended with that is no whole record: a write that a crash cut short. */
export interface TornTail {
  readonly sequence: number
  readonly segment: string
  readonly bytes: number
}

/**
 * Reads all segments in order, each record once, or what comes after a position. An incomplete last record ends a
 * segment quietly when the next segment goes on with the same sequence number, or there is none; then nothing that was
 * promised can be missing.
 * @throws AuditError AUDIT_CORRUPT, naming segment, byte and sequence number
 */
export async function* readWal(
  folder: string,
  onTornTail: (tail: TornTail) => void = () => undefined,
  start?: WalPosition,
): AsyncGenerator<WalEntry, void> {
  let next = start?.sequence
  for (const { first, name } of await listSegments(folder)) {
    if (start && name < start.segment) continue
    const from = name === start?.segment ? start.at : 0
    if (next !== undefined && from === 0 && first !== next) throw corrupt(name, 0, next, `begins with ${first}`)
    next ??= first
    const bytes = await readFrom(join(folder, name), from).catch(orNothing(undefined))
    if (!bytes) throw corrupt(name, from, next, 'the segment has gone')
    for (let at = 0; at < bytes.length;) {
      const entry = readRecord(bytes, at)
      if (typeof entry === 'string') {
        if (!isTorn(entry, bytes.subarray(at))) throw corrupt(name, from + at, next, 'the checksum does not match')
        onTornTail({ sequence: next, segment: name, bytes: bytes.length - at })
        break
      }
      at += headerBytes + entry.length
      if (next % recordsPerTurn === 0) await setImmediate()
      yield { sequence: next, entry, end: { sequence: next + 1, segment: name, at: from + at } }
      next++
    }
  }
}

async function readFrom(path: string, at: number): Promise<Buffer> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.max(size - at, 0)), { position: at })
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/**
 * Whether a segment's rest is what a crash leaves: the beginning of one record, or zeros where a file system had grown
 * the file and not yet filled it. A damaged length can make records look like that, so none may be found in the rest.
 */
function isTorn(problem: 'torn' | 'bad', rest: Buffer): boolean {
  if (rest.every((byte) => byte === 0)) return true
  if (problem === 'bad') return false
  for (let at = 1; at + headerBytes < rest.length; at++) {
    if (typeof readRecord(rest, at) !== 'string') return false
  }
  return true
}

function corrupt(segment: string, at: number, sequence: number, problem: string): AuditError {
  return new AuditError('AUDIT_CORRUPT', `wal/${segment}, byte ${at}, record ${sequence}: ${problem}`, { sequence })
}

/** For a file or folder that may rightly not be there. */
export function orNothing<T>(nothing: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return nothing
    throw error
  }
}
