/** A map that remembers which of its rows have changed since they were last taken, so that a commit writes those only. */
export class Table<Key extends string, Row> {
  readonly #rows = new Map<Key, Row>()
  readonly #changed = new Set<Key>()

  get(key: Key): Row | undefined {
    return this.#rows.get(key)
  }

  has(key: Key): boolean {
    return this.#rows.has(key)
  }

  values(): readonly Row[] {
    return [...this.#rows.values()]
  }

  get size(): number {
    return this.#rows.size
  }

  /** Rows are never changed in place: a change is a new row. */
  set(key: Key, row: Row): void {
    this.#rows.set(key, row)
    this.#changed.add(key)
  }

  /** Puts back what is stored already: no change. */
  restore(key: Key, row: Row): void {
    this.#rows.set(key, row)
  }

  delete(key: Key): void {
    if (this.#rows.delete(key)) this.#changed.add(key)
  }

  /** What was set (a row) or deleted (`undefined`) since the last call. */
  takeChanges(): readonly (readonly [key: Key, row: Row | undefined])[] {
    const changes = [...this.#changed].map((key) => [key, this.#rows.get(key)] as const)
    this.#changed.clear()
    return changes
  }
}
