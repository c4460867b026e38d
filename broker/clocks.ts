/**
 * The broker's two clocks. Whatever waits in this process waits by the one that nobody sets: a machine that learns the
 * right time would otherwise lose in that moment what is to be kept for a week. Rows hold the time of day, because a
 * process that comes later has no other clock in common with this one.
 */
export interface Clocks {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
}

/** The time of day of a moment of the clock that nobody sets, as the two stand to each other now. */
export function timeOf(moment: number, { now, elapsed }: Clocks): number {
  return Math.max(0, Math.round(now() + moment - elapsed()))
}

export function momentOf(time: number, { now, elapsed }: Clocks): number {
  return elapsed() + time - now()
}
