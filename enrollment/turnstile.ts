/**
 * Lets those who wait on, one in each turn of the event loop: what is ready all at once, like joins that one write to the
 * store has made durable, is not done all at once, and the broker's messages go between.
 */
export class Turnstile {
  readonly #waiting: (() => void)[] = []

  /** Resolves in a later turn, in which nobody else is let on. */
  pass(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) setImmediate(() => this.#letOne())
    })
  }

  #letOne(): void {
    this.#waiting.shift()?.()
    if (this.#waiting.length > 0) setImmediate(() => this.#letOne())
  }
}
