import { always, isWithin, shorter, type Term } from '#policy'

/** Of setTimeout: what is longer it takes for 1 ms. */
const longestTimer = 2 ** 31 - 1

/**
 * How long the rights of all sessions stay as they are: conditions of policy begin and cease to hold at moments that are
 * known before. One timer waits for the nearest of them, so that nothing has to be asked for a message. A clock that is
 * set, also back, is noticed at the next sweep.
 */
export class RightsTerm {
  readonly #now: () => number
  readonly #onOver: () => void
  #term = always
  #timer: NodeJS.Timeout | undefined

  /** `now` in milliseconds since 1970. */
  constructor(now: () => number, onOver: () => void) {
    this.#now = now
    this.#onOver = onOver
  }

  /** Rights that were given to somebody, and how long they last. */
  note(term: Term): void {
    if (term === always) return
    const { until } = this.#term
    this.#term = shorter(this.#term, term)
    if (this.#term.until < until) this.#wait()
  }

  /** For whoever looks at all rights: from here on those count that are noted. */
  begin(): void {
    this.#term = always
    this.end()
  }

  sweep(): void {
    if (!isWithin(this.#term, this.#now())) this.#onOver()
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #wait(): void {
    this.end()
    const milliseconds = Math.max(1, this.#term.until - this.#now())
    this.#timer = setTimeout(
      () => {
        this.sweep()
        if (isWithin(this.#term, this.#now()) && this.#term.until < Infinity) this.#wait()
      },
      Math.min(milliseconds, longestTimer),
    )
    this.#timer.unref()
  }
}
