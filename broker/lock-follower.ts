import type { LockChange, Renewal } from '#registry'
import type { LockLease } from './lock-lease.js'
import type { Ended } from './silence.js'

interface LockFollowerOptions {
  readonly lease: LockLease
  /** Has a change act. When it returns, it does. */
  readonly apply: (change: LockChange) => Ended
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
}

/**
 * A broker's end of the lock feed, however far away that is. Changes act in their order and are reported; where one is
 * missing none behind it acts, and the next beat brings the whole state. Beats renew the lease, and what does not get
 * through lets it end.
 */
export class LockFollower {
  readonly #options: LockFollowerOptions
  #applied = -1

  constructor(options: LockFollowerOptions) {
    this.#options = options
  }

  take(change: LockChange, report: (revision: number, ended: Ended) => void): void {
    const isNext = change.after === undefined || change.after === this.#applied
    if (!isNext) return
    const ended = this.#options.apply(change)
    this.#applied = change.revision
    report(change.revision, ended)
  }

  /** `renew`: asks the feed for another term, by the revision that acts here. */
  async beat(renew: (applied: number) => Promise<Renewal>): Promise<void> {
    const { lease, elapsed } = this.#options
    const askedAt = elapsed()
    try {
      if ((await renew(this.#applied)) === 'renewed') lease.renew(askedAt)
    } catch {
      // Cut off. The lease says what becomes of that.
    }
  }
}
