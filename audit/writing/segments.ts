import { basename, join } from 'node:path'
import { asError, isDiskFull } from '#protocol'
import type { Disk, Segment } from './disk.js'
import { tileWidth } from '../tree/tiles.js'
import type { Reserve } from './reserve.js'
import { type SegmentName, segmentName } from './wal.js'

export interface KeptSegment extends Pick<SegmentName, 'first' | 'generation'> {
  readonly path: string
  readonly bytes: number
}

interface SegmentsOptions {
  readonly disk: Disk
  readonly folder: string
  readonly reserve: Reserve
  /** Each but the last has so many bytes, unless it has failed. */
  readonly leastBytes: number
}

/** The write-ahead log as its writer sees it: the segment that grows, and older ones as long as they are needed. */
export class Segments {
  readonly #options: SegmentsOptions
  #older: KeptSegment[]
  #olderBytes = 0
  #present: Segment
  #path: string
  #first: number
  #generation: number
  #bytes = 0
  #next: number
  #isOnReserve = false

  /** Goes on after the older ones, with record `next` in a segment of its own. */
  constructor(options: SegmentsOptions, older: readonly KeptSegment[], next: number) {
    this.#options = options
    this.#first = this.#next = next
    this.#generation = older.findLast(({ first }) => first === next)?.generation ?? 0
    this.#path = this.#pathOf(next, this.#generation)
    this.#older = older.filter(({ path }) => path !== this.#path) // one of this number holds no whole record
    for (const { bytes } of this.#older) this.#olderBytes += bytes
    this.#present = this.#openFirst()
  }

  /** Of all of them: a start reads that much. */
  get bytes(): number {
    return this.#olderBytes + this.#bytes
  }

  /** True while records go to the reserve, because there is no other room. */
  get isOnReserve(): boolean {
    return this.#isOnReserve
  }

  /**
   * Durable when it returns. A segment that has failed is never written to again, since nobody knows what of the batch it
   * has kept: another one repeats the batch byte for byte, and readers go by that. Returns what went wrong, if something did.
   * @throws what the other one fails with
   */
  append(records: Buffer, count: number): string | undefined {
    const failed = basename(this.#path)
    const failure = this.#tryToAppend(records)
    if (failure) this.#repeat(records, failure)
    this.#bytes += records.length
    this.#next += count
    return failure && `${failed}: ${failure.message}; its last batch stands in ${basename(this.#path)}`
  }

  /** Begins a new segment if the present one is large enough. */
  rotate(): void {
    if (!this.#isOnReserve && this.#bytes >= this.#options.leastBytes) this.#begin(this.#openNew)
  }

  /** There is room again. */
  leaveReserve(): void {
    if (this.#isOnReserve) this.#begin(this.#openNew)
  }

  /**
   * All complete files of a tree of that size are durable: removes the segments, oldest first, that no recovery can ask
   * for. It begins with the first whole bundle (see recovery.ts), so what is left must hold that bundle's first record.
   */
  async drop(settledSize: number): Promise<void> {
    for (let [oldest, second] = this.#older; oldest; [oldest, second] = this.#older) {
      const left = second?.first ?? this.#first
      if (firstWholeBundle(left) * tileWidth > settledSize) return
      await this.#options.disk.removeFile(oldest.path)
      this.#older.shift()
      this.#olderBytes -= oldest.bytes
    }
  }

  close(): void {
    this.#present.close()
  }

  #repeat(records: Buffer, failure: Error): void {
    const { reserve } = this.#options
    const again = isDiskFull(failure) && reserve.isThere ? failure : this.#tryAnother(records, this.#openNew)
    if (!again) return
    const last = isDiskFull(again) && reserve.isThere ? this.#tryAnother(records, this.#openReserve) : again
    if (last) throw last
  }

  #tryAnother(records: Buffer, open: (path: string) => Segment): Error | undefined {
    try {
      this.#begin(open)
    } catch (error) {
      return asError(error)
    }
    return this.#tryToAppend(records)
  }

  #tryToAppend(records: Buffer): Error | undefined {
    try {
      this.#present.append(records)
      return undefined
    } catch (error) {
      return asError(error)
    }
  }

  #begin(open: (path: string) => Segment): void {
    const generation = this.#first === this.#next ? this.#generation + 1 : 0
    const path = this.#pathOf(this.#next, generation)
    const segment = open(path)
    closeQuietly(this.#present)
    this.#older.push({ path: this.#path, first: this.#first, generation: this.#generation, bytes: this.#bytes })
    this.#olderBytes += this.#bytes
    this.#present = segment
    this.#path = path
    this.#first = this.#next
    this.#generation = generation
    this.#bytes = 0
  }

  #openFirst(): Segment {
    try {
      return this.#openNew(this.#path)
    } catch (error) {
      if (isDiskFull(error) && this.#options.reserve.isThere) return this.#openReserve(this.#path)
      throw error
    }
  }

  readonly #openNew = (path: string): Segment => {
    const segment = this.#options.disk.openSegment(path)
    this.#isOnReserve = false
    return segment
  }

  readonly #openReserve = (path: string): Segment => {
    const segment = this.#options.reserve.becomeSegment(path)
    this.#isOnReserve = true
    return segment
  }

  #pathOf(first: number, generation: number): string {
    return join(this.#options.folder, segmentName(first, generation))
  }
}

/** What is in a segment that goes was synced, or is written again. */
function closeQuietly(segment: Segment): void {
  try {
    segment.close()
  } catch {
    // The disk has failed in it.
  }
}

/** Of records that begin with this one: the index of the first bundle that they hold from its start. */
export function firstWholeBundle(first: number): number {
  return Math.ceil(first / tileWidth)
}
