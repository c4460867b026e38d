/** How long to wait between tries; a fleet that lost its service must not come back as one. */
export interface BackOff {
  readonly firstMs: number
  readonly mostMs: number
}

/** For the broker and for renewals. The first is about being online, the second about not being a burden. */
export const reconnecting: BackOff = { firstMs: 1_000, mostMs: 60_000 }
export const renewing: BackOff = { firstMs: 10_000, mostMs: 15 * 60_000 }

/** For renewals that come long before a certificate's time, because the service says so. */
export const rotating: BackOff = { firstMs: 60_000, mostMs: 3_600_000 }

/** How often to ask for something that seldom changes. */
export interface Pace {
  readonly leastMs: number
  /** Where the service does not say how often. */
  readonly usualMs: number
  readonly mostMs: number
}

/** For renewal info; RFC 9773 §4.3.2 has these bounds, so that no Retry-After makes it a burden or of no use. */
export const asking: Pace = { leastMs: 60_000, usualMs: 15 * 60_000, mostMs: 24 * 3_600_000 }

const mostRetryAfterMs = 3_600_000

/**
 * The wait after `failures` failures in a row: doubling up to a bound, between half and all of it by chance; never
 * less than the service asked for. `random` gives 0 to 1.
 */
export function waitAfter(backOff: BackOff, failures: number, random: () => number, retryAfterSeconds = 0): number {
  const most = Math.min(backOff.mostMs, backOff.firstMs * 2 ** Math.min(failures - 1, 30))
  const asked = Math.min(retryAfterSeconds * 1000, mostRetryAfterMs)
  const jitter = 0.5 + random() / 2
  return asked > most * jitter ? asked + random() * most : most * jitter
}

/** The wait until the next question: never less than the service asked for within the bounds, and up to a quarter more by chance. */
export function waitAsAsked(pace: Pace, retryAfterSeconds: number | undefined, random: () => number): number {
  const asked = retryAfterSeconds === undefined ? pace.usualMs : retryAfterSeconds * 1000
  return Math.min(Math.max(asked, pace.leastMs), pace.mostMs) * (1 + random() / 4)
}
