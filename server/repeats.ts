/** What is alike within this time becomes one record with a count. */
const windowMilliseconds = 10_000

/** Keeps what repeats itself from filling the log: the first of a kind is recorded at once, the others of its window as one. */
export class Repeats<Fact> {
  readonly #record: (fact: Fact, count: number) => void
  readonly #asOne: (one: Fact, other: Fact) => Fact
  readonly #open = new Map<string, { fact: Fact; count: number; readonly timer: NodeJS.Timeout }>()

  /**
   * `record` may throw when the log takes nothing: what comes first passes that on, what was only counted does not.
   * `asOne` says two of a kind in one; by default the first speaks for both.
   */
  constructor(record: (fact: Fact, count: number) => void, asOne: (one: Fact, other: Fact) => Fact = (one) => one) {
    this.#record = record
    this.#asOne = asOne
  }

  /** How many kinds are being counted. */
  get size(): number {
    return this.#open.size
  }

  has(kind: string): boolean {
    return this.#open.has(kind)
  }

  add(kind: string, fact: Fact): void {
    const open = this.#open.get(kind)
    if (open !== undefined) {
      // The one that opened the window stands in the log already.
      open.fact = open.count === 0 ? fact : this.#asOne(open.fact, fact)
      open.count++
      return
    }
    this.#record(fact, 1)
    const timer = setTimeout(() => this.#end(kind), windowMilliseconds).unref()
    this.#open.set(kind, { fact, count: 0, timer })
  }

  /** Records what is still being counted. */
  flush(): void {
    for (const kind of [...this.#open.keys()]) this.#end(kind)
  }

  #end(kind: string): void {
    const open = this.#open.get(kind)
    if (open === undefined) return
    clearTimeout(open.timer)
    this.#open.delete(kind)
    if (open.count === 0) return
    try {
      this.#record(open.fact, open.count)
    } catch {
      // The log has ended, and with it whatever the count could have been asked for.
    }
  }
}
