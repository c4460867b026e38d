/** How much may be held that is not taken yet, and how many may be prepared at a time. */
export interface ReadAheadBounds {
  readonly items: number
  readonly bytes: number
  readonly atOnce: number
}

interface Held<Prepared> {
  readonly prepared: Promise<Prepared>
  readonly bytes: number
}

/**
 * Prepares what comes before anybody asks for it, several at a time and as much as the bounds allow, and gives it in
 * order. What goes wrong is thrown at its place.
 */
export class ReadAhead<Item, Prepared> implements AsyncIterable<Prepared> {
  readonly #bounds: ReadAheadBounds
  readonly #prepare: (item: Item) => Promise<Prepared>
  readonly #bytesOf: (item: Item) => number
  readonly #held: Held<Prepared>[] = []
  #heldBytes = 0
  #preparing = 0
  #isAtEnd = false
  #isClosed = false
  #wake: () => void = () => undefined
  #changed = this.#nextChange()

  constructor(
    source: AsyncIterable<Item>,
    prepare: (item: Item) => Promise<Prepared>,
    bytesOf: (item: Item) => number,
    bounds: ReadAheadBounds,
  ) {
    this.#bounds = bounds
    this.#prepare = prepare
    this.#bytesOf = bytesOf
    void this.#fill(source)
  }

  /**
   * Resolves once everything is there, or as much of it as may be held; says of each when it is. Throws what is wrong
   * with any of it as soon as that is known. To be called before any is taken.
   */
  async filled(onPrepared?: (prepared: Prepared) => void): Promise<readonly Prepared[]> {
    const filled: Prepared[] = []
    for (;;) {
      const next = this.#held[filled.length]
      if (next !== undefined) {
        const prepared = await next.prepared
        filled.push(prepared)
        onPrepared?.(prepared)
      } else if (this.#isAtEnd || !this.#hasRoom()) return filled
      else await this.#changed
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Prepared> {
    try {
      for (;;) {
        while (this.#held.length === 0 && !this.#isAtEnd) await this.#changed
        const next = this.#held.shift()
        if (next === undefined) return
        this.#heldBytes -= next.bytes
        this.#change()
        yield await next.prepared
      }
    } finally {
      this.close()
    }
  }

  /** Reads no further. */
  close(): void {
    this.#isClosed = true
    this.#change()
  }

  async #fill(source: AsyncIterable<Item>): Promise<void> {
    try {
      for await (const item of source) {
        while (!this.#isClosed && !(this.#hasRoom() && this.#preparing < this.#bounds.atOnce)) await this.#changed
        if (this.#isClosed) break
        this.#hold(this.#prepared(item), this.#bytesOf(item))
      }
    } catch (error) {
      this.#hold(Promise.reject(error), 0)
    } finally {
      this.#isAtEnd = true
      this.#change()
    }
  }

  async #prepared(item: Item): Promise<Prepared> {
    this.#preparing++
    try {
      return await this.#prepare(item)
    } finally {
      this.#preparing--
      this.#change()
    }
  }

  #hold(prepared: Promise<Prepared>, bytes: number): void {
    prepared.catch(() => undefined) // thrown to whoever takes it
    this.#held.push({ prepared, bytes })
    this.#heldBytes += bytes
    this.#change()
  }

  #hasRoom(): boolean {
    return this.#held.length < this.#bounds.items && this.#heldBytes < this.#bounds.bytes
  }

  #change(): void {
    const wake = this.#wake
    this.#changed = this.#nextChange()
    wake()
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve))
  }
}
