/** What an `audit.gap` record says. */
export interface GapFacts {
  /** When the first and the last of the records that are missing would have been written, in milliseconds since 1970. */
  readonly from: number
  readonly to: number
  readonly count: number
}

/** Counts records that could not be written. */
export class Gap {
  #open: GapFacts | undefined
  /** Since the log was opened. */
  total = 0

  add(at: number): void {
    this.#open = { from: this.#open?.from ?? at, to: at, count: (this.#open?.count ?? 0) + 1 }
    this.total++
  }

  /** So many more, from before all that were added. */
  addBefore(from: number, count: number): void {
    if (count <= 0) return
    this.#open = { from, to: this.#open?.to ?? from, count: (this.#open?.count ?? 0) + count }
    this.total += count
  }

  /** How long the gap is by now; 0 where there is none. A clock that was set back makes it long. */
  lengthAt(now: number): number {
    return this.#open ? Math.abs(now - this.#open.from) : 0
  }

  /** The gap, which then belongs to the caller: what is added later is another one. */
  take(): GapFacts | undefined {
    const gap = this.#open
    this.#open = undefined
    return gap
  }
}
