import { type LeaseTerms, leaseTerms } from '#registry'

/**
 * A broker's leave to serve: while it holds, all locks act here, up to the revision with which it was renewed last. It
 * ends by itself, by the clock and not by a timer, so that a process which stood still does not go on with what it has
 * missed. Its end here is never later than for the feed, which counts from when the question came.
 */
export class LockLease {
  readonly terms: LeaseTerms
  readonly #elapsed: () => number
  #until: number

  /** `elapsed`: milliseconds by a clock that nobody sets. Begins with one term. */
  constructor({ terms = leaseTerms(), elapsed }: { readonly terms?: LeaseTerms; readonly elapsed: () => number }) {
    this.terms = terms
    this.#elapsed = elapsed
    this.#until = elapsed() + terms.milliseconds
  }

  /** From the moment at which it was asked for, and not at which the answer came. */
  renew(askedAt: number): void {
    this.#until = Math.max(this.#until, askedAt + this.terms.milliseconds)
  }

  /** Whether the broker has heard nothing for longer than it may go without. */
  get isOver(): boolean {
    return this.#elapsed() >= this.#until
  }

  /** Whether it may serve. */
  get holds(): boolean {
    return this.terms.mode === 'bestEffort' || !this.isOver
  }

  /** Whether it has been over for so long that nobody is kept waiting any more. */
  get isGivenUp(): boolean {
    return !this.holds && this.#elapsed() >= this.#until + this.terms.graceMilliseconds
  }
}

/** For a broker that stands alone. */
export const endlessLease = new LockLease({ terms: leaseTerms({ mode: 'bestEffort' }), elapsed: () => 0 })
