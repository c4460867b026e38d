import { join } from 'node:path'
import type { Disk, Segment } from './disk.js'
import { tileWidth } from '../tree/tiles.js'
import { segmentName } from './wal.js'

export interface KeptSegment {
  readonly path: string
  /** Sequence number of its first record. */
  readonly first: number
  readonly bytes: number
}

/** The write-ahead log as its writer sees it: the segment that grows, and older ones as long as they are needed. */
export class Segments {
  readonly #disk: Disk
  readonly #folder: string
  readonly #leastBytes: number
  #older: KeptSegment[]
  #olderBytes = 0
  #present: Segment
  #path: string
  #first: number
  #bytes = 0
  #next: number

  /** Goes on after the older ones, with record `next` in a segment of its own; each but the last has so many bytes. */
  constructor(disk: Disk, folder: string, leastBytes: number, older: readonly KeptSegment[], next: number) {
    this.#disk = disk
    this.#folder = folder
    this.#leastBytes = leastBytes
    this.#first = this.#next = next
    this.#path = older.findLast(({ first }) => first === next)?.path ?? join(folder, segmentName(next))
    this.#older = older.filter(({ path }) => path !== this.#path) // one of this number holds no whole record
    for (const { bytes } of this.#older) this.#olderBytes += bytes
    this.#present = disk.openSegment(this.#path)
  }

  /** Of all of them: a start reads that much. */
  get bytes(): number {
    return this.#olderBytes + this.#bytes
  }

  /** Durable when it returns. */
  append(records: Buffer, count: number): void {
    this.#present.append(records)
    this.#bytes += records.length
    this.#next += count
  }

  /** Begins a new segment if the present one is large enough. */
  rotate(): void {
    if (this.#bytes < this.#leastBytes) return
    const path = join(this.#folder, segmentName(this.#next))
    const present = this.#disk.openSegment(path)
    this.#present.close()
    this.#older.push({ path: this.#path, first: this.#first, bytes: this.#bytes })
    this.#olderBytes += this.#bytes
    this.#present = present
    this.#path = path
    this.#first = this.#next
    this.#bytes = 0
  }

  /**
   * All complete files of a tree of that size are durable: removes the segments, oldest first, that no recovery can ask
   * for. It begins with the first whole bundle (see recovery.ts), so what is left must hold that bundle's first record.
   */
  async drop(settledSize: number): Promise<void> {
    for (let [oldest, second] = this.#older; oldest; [oldest, second] = this.#older) {
      const left = second?.first ?? this.#first
      if (firstWholeBundle(left) * tileWidth > settledSize) return
      await this.#disk.removeFile(oldest.path)
      this.#older.shift()
      this.#olderBytes -= oldest.bytes
    }
  }

  close(): void {
    this.#present.close()
  }
}

/** Of records that begin with this one: the index of the first bundle that they hold from its start. */
export function firstWholeBundle(first: number): number {
  return Math.ceil(first / tileWidth)
}
