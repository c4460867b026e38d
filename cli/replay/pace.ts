import { InvalidArgumentError } from 'commander'

/** How fast a recording is played: so many times as fast as it was, `Infinity` for without a pause. */
export type Speed = number

/** `1x`, `0.5x`, `10x`, or `max`. */
export function parseSpeed(text: string): Speed {
  if (text === 'max') return Infinity
  const speed = /^\d{1,4}(\.\d{1,3})?x$/.test(text) ? Number.parseFloat(text) : 0
  if (speed > 0) return speed
  throw new InvalidArgumentError('expected a speed such as 0.5x, 1x or 10x, or max')
}

/** Keeps the time between the records of a recording, but never longer than anybody wants to look at nothing. */
export class Pace {
  readonly #speed: Speed
  readonly #longestMs: number
  #first: number | undefined
  #last = 0

  constructor(speed: Speed, longestMs: number) {
    this.#speed = speed
    this.#longestMs = longestMs
  }

  /**
   * What to wait before the next record, and when it was, both in milliseconds, the latter from the first record on. A
   * clock that was set back in between is no reason to wait.
   */
  next(time: number): { readonly pauseMs: number; readonly offsetMs: number } {
    this.#first ??= this.#last = time
    const pauseMs = Math.min(Math.max(time - this.#last, 0) / this.#speed, this.#longestMs)
    this.#last = time
    return { pauseMs, offsetMs: time - this.#first }
  }
}
