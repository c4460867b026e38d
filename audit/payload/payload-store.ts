import { closeSync, fdatasyncSync, openSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { syncFolderNow } from '../sync-folder.js'
import type { DayKey } from './day-key.js'
import { parseDay } from './day.js'
import { makeFolderNow, namesIn, payloadLayout, writeAllAt } from './files.js'
import { sequenceIn } from './message-place.js'
import { payloadDefaults, type PayloadOptions } from './options.js'
import { type PayloadPlace, sealPayload } from './stored-payload.js'

/** One segment holds the payloads of so many bytes at most, or one that is larger. Whoever looks one up reads up to that. */
const maxSegmentBytes = 64 * 1024 * 1024
/** What may be kept is parted into so many segments at least, so that not all goes at once. */
const leastSegments = 4

interface Pending {
  readonly day: number
  /** The first record that a payload is of. */
  readonly first: number
  readonly pieces: Buffer[]
}

interface Segment {
  readonly day: number
  readonly file: number
  length: number
}

/**
 * Keeps payloads encrypted beside the log, each day in a folder, in segments that are named for the first record they
 * hold a payload of. Segments are only ever appended to and removed whole, the oldest first.
 */
export class PayloadStore {
  readonly #directory: string
  readonly #days: number
  readonly #maxBytes: number
  readonly #segmentBytes: number
  #segment: Segment | undefined
  /** Not on disk yet; a day's each. */
  #pending: Pending[] = []

  constructor(directory: string, { days = payloadDefaults.days, maxBytes = payloadDefaults.maxBytes }: PayloadOptions) {
    this.#directory = directory
    this.#days = days
    this.#maxBytes = maxBytes
    this.#segmentBytes = Math.min(maxSegmentBytes, maxBytes / leastSegments)
  }

  /** Takes the payload out of its opening. Durable after `sync`; until then no file is touched. */
  add(day: number, whose: PayloadPlace, opening: Buffer, key: DayKey): void {
    let pending = this.#pending.at(-1)
    if (pending?.day !== day) this.#pending.push((pending = { day, first: sequenceIn(whose.place), pieces: [] }))
    pending.pieces.push(...sealPayload(whose, opening, key))
  }

  /** In one write and one sync. What fails is forgotten: a segment never holds a payload behind one of a later record. */
  sync(): void {
    for (const { day, first, pieces } of this.#pending.splice(0)) this.#append(day, first, Buffer.concat(pieces))
  }

  close(): void {
    if (this.#segment) closeSync(this.#segment.file)
    this.#segment = undefined
  }

  #append(day: number, first: number, bytes: Buffer): void {
    const open = this.#segment
    const segment = open?.day === day && open.length < this.#segmentBytes ? open : this.#begin(day, first)
    try {
      writeAllAt(segment.file, bytes, segment.length)
      fdatasyncSync(segment.file)
    } catch (error) {
      this.close() // nobody knows what of it stands there: nothing may come behind it
      throw error
    }
    segment.length += bytes.length
  }

  #begin(day: number, first: number): Segment {
    this.close()
    this.#makeRoom(day)
    const folder = payloadLayout.day(this.#directory, day)
    makeFolderNow(folder)
    const file = openSync(join(folder, segmentName(first)), 'w', 0o600) // one that a crash left holds nothing of the log
    syncFolderNow(folder)
    return (this.#segment = { day, file, length: 0 })
  }

  /** What is too old goes, and then the oldest until there is room for one more segment. */
  #makeRoom(today: number): void {
    const segments = storedSegments(this.#directory)
    let bytes = segments.reduce((sum, segment) => sum + segment.bytes, this.#segmentBytes)
    for (const segment of segments) {
      if (segment.day > today - this.#days && bytes <= this.#maxBytes) continue
      rmSync(segment.path, { force: true })
      bytes -= segment.bytes
    }
  }
}

export function segmentName(first: number): string {
  return `${String(first).padStart(16, '0')}.seg`
}

interface StoredSegment {
  readonly day: number
  /** The first record that it holds a payload of. */
  readonly first: number
  readonly path: string
  readonly bytes: number
}

/** Oldest first. */
function storedSegments(directory: string): readonly StoredSegment[] {
  const days = namesIn(payloadLayout.folder(directory)).flatMap((name) => parseDay(name) ?? [])
  const segments = days.flatMap((day) => segmentsOfDay(directory, day))
  return segments.sort((one, other) => one.day - other.day || one.first - other.first)
}

export function segmentsOfDay(directory: string, day: number): readonly StoredSegment[] {
  const folder = payloadLayout.day(directory, day)
  return namesIn(folder)
    .filter((name) => /^[0-9]{16}\.seg$/.test(name))
    .sort()
    .map((name) => {
      const path = join(folder, name)
      return { day, path, first: Number.parseInt(name, 10), bytes: statSync(path).size }
    })
}
