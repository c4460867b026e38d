/** What was not used of half a second may be used at once. */
const burstMs = 500

/** Lets through so many a second. */
export class Throttle {
  readonly #everyMs: number
  #nextAt = 0

  constructor(perSecond: number) {
    this.#everyMs = 1000 / perSecond
  }

  /** Milliseconds that the next has to wait; it counts as gone then. */
  take(): number {
    const now = performance.now()
    this.#nextAt = Math.max(this.#nextAt, now - burstMs) + this.#everyMs
    return Math.max(0, this.#nextAt - now)
  }

  /** Nobody goes for so long. */
  pause(ms: number): void {
    this.#nextAt = performance.now() + ms
  }
}
