/** By these every broker and the feed measure; each by its own clock that nobody sets. */
export const leaseTerms = {
  /** So long a broker may go on without having heard that it has missed nothing. */
  milliseconds: 10_000,
  /** So often it asks for more: one question or two may be lost on the way. */
  renewEveryMilliseconds: 2500,
  /** So long behind the end it waits for the feed to come back, before it ends its sessions. */
  graceMilliseconds: 30_000,
} as const

/** What a broker does that has heard nothing for so long: stop until it does, or go on as it stands. */
export type LeaseMode = 'strict' | 'bestEffort'

/**
 * A broker's leave to serve: while it holds, all locks act here, up to the revision with which it was renewed last. It
 * ends by itself, by the clock and not by a timer, so that a process which stood still does not go on with what it has
 * missed. Its end here is never later than for the feed, which counts from when the question came.
 */
export class LockLease {
  readonly #mode: LeaseMode
  readonly #elapsed: () => number
  #until: number

  /** `elapsed`: milliseconds by a clock that nobody sets. Begins with one term. */
  constructor({ mode = 'strict', elapsed }: { readonly mode?: LeaseMode; readonly elapsed: () => number }) {
    this.#mode = mode
    this.#elapsed = elapsed
    this.#until = elapsed() + leaseTerms.milliseconds
  }

  /** From the moment at which it was asked for, and not at which the answer came. */
  renew(askedAt: number): void {
    this.#until = Math.max(this.#until, askedAt + leaseTerms.milliseconds)
  }

  get holds(): boolean {
    return this.#mode === 'bestEffort' || this.#elapsed() < this.#until
  }

  /** Whether it has been over for so long that nobody is kept waiting any more. */
  get isGivenUp(): boolean {
    return !this.holds && this.#elapsed() >= this.#until + leaseTerms.graceMilliseconds
  }
}

/** For a broker that stands alone. */
export const endlessLease = new LockLease({ mode: 'bestEffort', elapsed: () => 0 })
