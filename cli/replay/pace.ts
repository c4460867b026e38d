import { setTimeout as pause } from 'node:timers/promises'
import { InvalidArgumentError } from 'commander'
import type { Record } from '../commands/audit/record.js'

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
  #dueMs = 0

  constructor(speed: Speed, longestMs: number) {
    this.#speed = speed
    this.#longestMs = longestMs
  }

  /**
   * When the next record is to be played and when it was, both in milliseconds from the first one on. A clock that was
   * set back in between is no reason to wait.
   */
  next(time: number): { readonly dueMs: number; readonly offsetMs: number } {
    this.#first ??= this.#last = time
    this.#dueMs += Math.min(Math.max(time - this.#last, 0) / this.#speed, this.#longestMs)
    this.#last = time
    return { dueMs: this.#dueMs, offsetMs: time - this.#first }
  }
}

/** Gives each item when its record is due, by one clock from the first on, so that small delays do not add up. */
export async function* paced<Item extends { readonly record: Record }>(
  items: AsyncIterable<Item>,
  pace: Pace,
  signal?: AbortSignal,
): AsyncIterable<Item & { readonly offsetMs: number }> {
  let startedAt: number | undefined
  for await (const item of items) {
    startedAt ??= performance.now()
    const { dueMs, offsetMs } = pace.next(Date.parse(item.record.time))
    await until(startedAt + dueMs, signal)
    yield { ...item, offsetMs }
  }
}

/** No timer of Node's runs longer: 24 days. */
const longestTimerMs = 2 ** 31 - 1

async function until(moment: number, signal: AbortSignal | undefined): Promise<void> {
  for (let left = moment - performance.now(); left >= 1; left = moment - performance.now()) {
    await pause(Math.min(left, longestTimerMs), undefined, { signal })
  }
}
