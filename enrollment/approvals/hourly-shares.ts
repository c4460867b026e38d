const hourMs = 3_600_000

/** Counts by name, and begins anew each hour. Names are those of a configuration, and so are few. */
export class HourlyShares {
  readonly #most: number
  readonly #now: () => number
  readonly #taken = new Map<string, { readonly since: number; count: number }>()

  constructor(most: number, now: () => number) {
    this.#most = most
    this.#now = now
  }

  /** False where the share of this hour is taken. A clock that was set back begins an hour too. */
  take(name: string): boolean {
    const now = this.#now()
    const known = this.#taken.get(name)
    const isOver = known === undefined || now - known.since >= hourMs || now < known.since
    const share = isOver ? { since: now, count: 0 } : known
    if (share.count >= this.#most) return false
    share.count++
    this.#taken.set(name, share)
    return true
  }
}
