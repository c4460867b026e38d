import { setImmediate } from 'node:timers/promises'

/** So long one piece of work may keep everybody else in this thread waiting. */
const turnMilliseconds = 2
/** So often is it told how far it is. */
const tellEveryMilliseconds = 200

/** Long work in the broker's thread: asked between its steps, it lets others have their turn when its own is over. */
export class Turns {
  readonly #elapsed: () => number
  readonly #signal: AbortSignal
  #since: number
  #toldAt: number

  /** `elapsed`: milliseconds by a clock that nobody sets; `signal`: nobody waits for the result any more. */
  constructor(elapsed: () => number, signal: AbortSignal) {
    this.#elapsed = elapsed
    this.#signal = signal
    this.#since = this.#toldAt = elapsed()
  }

  get isOver(): boolean {
    return this.#elapsed() - this.#since >= turnMilliseconds
  }

  /** Whether it is time to say how far the work is; asked again, it is not. */
  get isToTell(): boolean {
    const now = this.#elapsed()
    if (now - this.#toldAt < tellEveryMilliseconds) return false
    this.#toldAt = now
    return true
  }

  /** @throws the signal's reason */
  async next(): Promise<void> {
    await setImmediate()
    this.#signal.throwIfAborted()
    this.#since = this.#elapsed()
  }
}
