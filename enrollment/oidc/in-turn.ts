/** Lets work under one name begin when what came before it under this name has ended, however it has. */
export class InTurn {
  readonly #last = new Map<string, Promise<unknown>>()

  async do<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name)
    const done = before === undefined ? work() : before.then(work, work)
    this.#last.set(name, done)
    try {
      return await done
    } finally {
      if (this.#last.get(name) === done) this.#last.delete(name)
    }
  }
}
