import type { Rate } from '../policy.js'

interface Bucket {
  tokens: number
  filledAt: number
  readonly rate: Rate
}

/**
 * The token buckets of all devices and rules. It outlives sessions and policies, so that to reconnect refills nothing;
 * whoever owns it passes it to every `renderPolicy`.
 */
export class RateLimiter {
  readonly #now: () => number
  readonly #buckets = new Map<string, Bucket>()
  #sweepAbove = 1024

  /** `now` in milliseconds. */
  constructor({ now }: { readonly now: () => number }) {
    this.#now = now
  }

  /** Whether one message could be paid; takes nothing. */
  has(key: string, rate: Rate): boolean {
    return this.#fill(key, rate).tokens >= 1
  }

  /** Pays for one message; ask `has` first. */
  spend(key: string, rate: Rate): void {
    const bucket = this.#fill(key, rate)
    bucket.tokens -= 1
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > this.#sweepAbove) this.#sweep()
  }

  #fill(key: string, rate: Rate): Bucket {
    const now = this.#now()
    const known = this.#buckets.get(key)
    // A clock that steps back gives nothing; but from there on it fills, and not when it is where it was before.
    if (known && known.filledAt > now) known.filledAt = now
    const { tokens, filledAt } = known ?? { tokens: rate.burst, filledAt: now }
    const flown = ((now - filledAt) * rate.messages) / rate.perMs
    return { tokens: Math.min(rate.burst, tokens + flown), filledAt: now, rate }
  }

  /** A bucket that has filled up again is the same as none; what stays is what was used within one filling time. */
  #sweep(): void {
    for (const [key, { rate }] of this.#buckets) {
      if (this.#fill(key, rate).tokens >= rate.burst) this.#buckets.delete(key)
    }
    this.#sweepAbove = Math.max(1024, 2 * this.#buckets.size)
  }
}
