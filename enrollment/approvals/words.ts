import type { Fingerprint } from '#protocol'

/** What an operator said of a machine. */
interface Word<About> {
  readonly about: About
  readonly until: number
}

/** Remembers for a time what operators have said of machines; bounded, the oldest is forgotten first. */
export class Words<About> {
  readonly #most: number
  readonly #lifeMs: number
  readonly #now: () => number
  readonly #words = new Map<Fingerprint, Word<About>>()

  constructor({ words, wordMs }: { readonly words: number; readonly wordMs: number }, now: () => number) {
    this.#most = words
    this.#lifeMs = wordMs
    this.#now = now
  }

  /** Until when, in milliseconds since 1970. */
  say(hash: Fingerprint, about: About): number {
    const until = this.#now() + this.#lifeMs
    this.#words.delete(hash)
    this.#words.set(hash, { about, until })
    const [oldest] = this.#words.keys()
    if (this.#words.size > this.#most && oldest !== undefined) this.#words.delete(oldest)
    return until
  }

  of(hash: Fingerprint): About | undefined {
    const word = this.#words.get(hash)
    if (word === undefined || this.#now() < word.until) return word?.about
    this.#words.delete(hash)
    return undefined
  }

  take(hash: Fingerprint): void {
    this.#words.delete(hash)
  }
}
