/**
 * A map that takes memory with its first entry and gives it back when it is cleared. Each of very many sessions has
 * several, and of a device that says little they stay empty.
 */
export class LazyMap<Key, Value> {
  #entries: Map<Key, Value> | undefined

  get size(): number {
    return this.#entries?.size ?? 0
  }

  get(key: Key): Value | undefined {
    return this.#entries?.get(key)
  }

  has(key: Key): boolean {
    return this.#entries?.has(key) ?? false
  }

  set(key: Key, value: Value): void {
    this.#entries ??= new Map()
    this.#entries.set(key, value)
  }

  /** False when there was none. */
  delete(key: Key): boolean {
    return this.#entries?.delete(key) ?? false
  }

  clear(): void {
    this.#entries = undefined
  }

  keys(): Iterable<Key> {
    return this.#entries?.keys() ?? []
  }

  values(): Iterable<Value> {
    return this.#entries?.values() ?? []
  }

  [Symbol.iterator](): Iterator<[Key, Value]> {
    return (this.#entries ?? nothing)[Symbol.iterator]()
  }
}

const nothing = new Map<never, never>()
