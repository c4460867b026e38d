import { busy } from './errors.js'

/** Remembers until they expire which one-time things were used; bounded, and refuses more rather than to forget one. */
export class Spent {
  readonly #expiries = new Map<string, number>()
  readonly #now: () => number
  readonly #most: number

  constructor(now: () => number, most = 100_000) {
    this.#now = now
    this.#most = most
  }

  /** False when it was spent before. `expires`: from when on it would be refused anyway. @throws EnrollmentError BUSY */
  spend(id: string, expires: number): boolean {
    if (this.#expiries.has(id)) return false
    if (this.#expiries.size >= this.#most) this.#forgetExpired()
    if (this.#expiries.size >= this.#most) throw busy('too many joins within two minutes', 30)
    this.#expiries.set(id, expires)
    return true
  }

  #forgetExpired(): void {
    for (const [id, expires] of this.#expiries) if (expires <= this.#now()) this.#expiries.delete(id)
  }
}
