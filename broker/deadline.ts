/** One time limit over several waits. */
export class Deadline {
  readonly #passed: Promise<void>
  #timer: NodeJS.Timeout | undefined

  constructor(seconds: number) {
    this.#passed = new Promise((resolve) => (this.#timer = setTimeout(resolve, seconds * 1000)))
  }

  /** Waits for the work, or for the time to be over; what fails is over too. */
  async before(work: Promise<void>): Promise<void> {
    await Promise.race([work.catch(() => undefined), this.#passed])
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}
