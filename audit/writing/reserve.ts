import { join } from 'node:path'
import { isDiskFull } from '#protocol'
import type { Disk, Segment } from './disk.js'

/** For what operators do, for the ends of sessions, and for what waits in memory when the disk turns out to be full. */
export const defaultReserveBytes = 64 * 1024 * 1024

/** When so much more is free than the reserve takes, a full disk counts as one that has room again. */
const roomToGoOn = (reserveBytes: number): number => reserveBytes / 4

/**
 * Room on the disk that nobody else can take, held as a file of which every block is written. When the disk is full it
 * becomes a segment of the write-ahead log, and records are written over what fills it.
 */
export class Reserve {
  readonly #disk: Disk
  readonly #folder: string
  readonly #path: string
  readonly #bytes: number
  #isThere: boolean

  constructor(disk: Disk, folder: string, bytes: number) {
    this.#disk = disk
    this.#folder = folder
    this.#path = join(folder, 'reserve')
    this.#bytes = bytes
    this.#isThere = disk.isAllocated(this.#path, bytes)
  }

  get isThere(): boolean {
    return this.#isThere
  }

  /** Makes it where it is missing. With `andMore` only if there is room to go on writing, too. Tells whether that is so. */
  async fill({ andMore = false } = {}): Promise<boolean> {
    const missing = this.#isThere ? 0 : this.#bytes
    const free = await this.#disk.freeBytes(this.#folder)
    if (free < missing + (andMore ? roomToGoOn(this.#bytes) : 0)) return false
    if (this.#isThere) return true
    try {
      await this.#disk.allocate(this.#path, this.#bytes)
    } catch (error) {
      if (isDiskFull(error)) return false
      throw error
    }
    return (this.#isThere = true)
  }

  /** It is spent then, until it is filled again. */
  becomeSegment(path: string): Segment {
    const segment = this.#disk.openAllocated(this.#path, path)
    this.#isThere = false
    return segment
  }
}
