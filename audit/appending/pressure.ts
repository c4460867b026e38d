import { slowAfterMs, waitingBytes } from '../limits.js'
import type { Room } from '../writing/writer.js'
import { Congestion } from './congestion.js'

export interface PressureOptions {
  /** How much waits for the disk right now. */
  readonly waitingBytes: () => number
  /** Whether sources pause for the disk. Otherwise they are never told to, and go without their records. */
  readonly pauses: boolean
  /** Called by each update that finds that more can be taken: whoever has something to catch up on may. */
  readonly onRoom: () => void
}

/** How far the disk is behind what is appended, and whether sources should pause for it. */
export class Pressure {
  readonly congestion = new Congestion()
  readonly #options: PressureOptions
  #room: Room = 'reserved'
  /** Much waits, or has for long. */
  #crowded = false
  #slow = false
  #slowness: NodeJS.Timeout | undefined

  constructor(options: PressureOptions) {
    this.#options = options
  }

  get room(): Room {
    return this.#room
  }

  get crowded(): boolean {
    return this.#crowded
  }

  /** More waits than should, or has for longer than it should. */
  get isBehind(): boolean {
    return this.#crowded || this.#slow
  }

  /** The disk has no room, and sources are to wait until it has. */
  get full(): boolean {
    return this.#room === 'full' && this.#options.pauses
  }

  /** To be called after each change of what waits. */
  update(): void {
    const mark = this.#crowded ? waitingBytes.relieved : waitingBytes.congested
    this.#crowded = this.#options.waitingBytes() >= mark
    const isShort = this.#crowded || this.#room === 'full'
    this.congestion.set(this.#options.pauses && (isShort || this.#slow))
    if (!isShort) this.#options.onRoom()
  }

  setRoom(room: Room): void {
    this.#room = room
    this.update()
  }

  batchSent(): void {
    this.#slowness = setTimeout(() => this.#setSlow(true), slowAfterMs).unref()
  }

  batchWritten(): void {
    this.#setSlow(false)
  }

  /** The writer is gone, and what waited for it with it. */
  writerLost(): void {
    clearTimeout(this.#slowness)
    this.#crowded = this.#slow = false
    this.update()
  }

  /** A new writer says only what changes. */
  writerFound(): void {
    this.#room = 'reserved'
  }

  /** Nothing is waited for any more. */
  end(): void {
    clearTimeout(this.#slowness)
  }

  #setSlow(slow: boolean): void {
    clearTimeout(this.#slowness)
    this.#slow = slow
    this.update()
  }
}
