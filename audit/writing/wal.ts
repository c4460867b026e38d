import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { AuditError } from '../errors.js'
import { orNothing } from '../or-nothing.js'
import { isTornBatch, isUnused } from './torn-batch.js'
import { headerBytes, readRecord } from './wal-record.js'

/*
 * The write-ahead log: records that no checkpoint covers yet. One segment is a run of records, named for the
 * sequence number of the first.
 *
 * A segment ends where the next one begins. When a disk has failed to write or sync one, the next repeats the records
 * of which nobody knows whether they are there: so where two hold the same sequence number, the later one counts. One
 * that repeats from its very first record has the same first number, and a generation in its name.
 */

/** Whoever reads shares the thread: after so many records others get their turn. */
const recordsPerTurn = 256

export interface SegmentName {
  readonly first: number
  /** 0, and one more for each that took the place of the one before it. */
  readonly generation: number
  readonly name: string
}

/** `0000000000000067.seg`, or of a later generation `0000000000000067.1.seg` */
export function segmentName(first: number, generation = 0): string {
  return `${String(first).padStart(16, '0')}${generation === 0 ? '' : `.${generation}`}.seg`
}

/** In the order of their records, later generations last. A folder that does not exist holds none. */
export async function listSegments(folder: string): Promise<readonly SegmentName[]> {
  const names = await readdir(folder).catch(orNothing([]))
  return names.flatMap((name) => parseSegmentName(name) ?? []).sort(bySequence)
}

function parseSegmentName(name: string): SegmentName | undefined {
  const [, first, generation = '0'] = /^([0-9]{16})(?:\.([1-9][0-9]{0,8}))?\.seg$/.exec(name) ?? []
  return first === undefined ? undefined : { first: Number(first), generation: Number(generation), name }
}

function bySequence(one: SegmentName, other: SegmentName): number {
  return one.first - other.first || one.generation - other.generation
}

/** A place between two records. */
export interface WalPosition {
  readonly sequence: number
  readonly segment: string
  readonly at: number
}

/** Where to begin reading for the sake of one record, so that older segments are left alone. */
export async function positionBefore(folder: string, sequence: number): Promise<WalPosition | undefined> {
  const segment = (await listSegments(folder)).findLast(({ first }) => first <= sequence)
  return segment && { sequence: segment.first, segment: segment.name, at: 0 }
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
 * Reads all segments in order, each record once, or what comes after a position. A batch that a crash has torn ends the
 * last segment quietly: it was never synced, so nothing that was promised can be missing. See torn-batch.ts.
 * @throws AuditError AUDIT_CORRUPT, naming segment, byte and sequence number
 */
export async function* readWal(
  folder: string,
  onTornTail: (tail: TornTail) => void = () => undefined,
  start?: WalPosition,
): AsyncGenerator<WalEntry, void> {
  let next = start?.sequence
  for (const { first, end, name } of await segmentsFrom(folder, start)) {
    const from = name === start?.segment ? start.at : 0
    if (next !== undefined && from === 0 && first !== next) throw corrupt(name, 0, next, `begins with ${first}`)
    next ??= first
    if (next >= end) continue
    const bytes = await readFrom(join(folder, name), from).catch(orNothing(undefined))
    if (!bytes) throw corrupt(name, from, next, 'the segment has gone')
    for (let at = 0; at < bytes.length && next < end;) {
      const entry = readRecord(bytes, at)
      if (typeof entry === 'string') {
        if (end < Infinity || !isTornBatch(bytes, at, from))
          throw corrupt(name, from + at, next, 'the checksum does not match')
        if (!isUnused(bytes, at)) onTornTail({ sequence: next, segment: name, bytes: bytes.length - at })
        break
      }
      at += headerBytes + entry.length
      if (next % recordsPerTurn === 0) await setImmediate()
      yield { sequence: next, entry, end: { sequence: next + 1, segment: name, at: from + at } }
      next++
    }
  }
}

/** The segments that hold what comes after a position, and where each one ends because the next takes over. */
async function segmentsFrom(
  folder: string,
  start: WalPosition | undefined,
): Promise<readonly (SegmentName & { readonly end: number })[]> {
  const from = start && parseSegmentName(start.segment)
  const segments = await listSegments(folder)
  return segments
    .map((segment, at) => ({ ...segment, end: segments[at + 1]?.first ?? Infinity }))
    .filter((segment) => !from || bySequence(segment, from) >= 0)
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

function corrupt(segment: string, at: number, sequence: number, problem: string): AuditError {
  return new AuditError('AUDIT_CORRUPT', `wal/${segment}, byte ${at}, record ${sequence}: ${problem}`, { sequence })
}
