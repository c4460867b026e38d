/** What a broker does that has heard nothing for so long: stop until it does, or go on as it stands. */
export type LeaseMode = 'strict' | 'bestEffort'

/** By these a broker and the feed measure, each by its own clock that nobody sets. */
export interface LeaseTerms {
  readonly mode: LeaseMode
  /** So long a broker may go on without having heard that it has missed nothing. */
  readonly milliseconds: number
  /** So often it asks for more: one question or two may be lost on the way. */
  readonly renewEveryMilliseconds: number
  /** So long behind the end it waits for the feed to come back, before it ends its sessions. */
  readonly graceMilliseconds: number
}

/** Spec §6: strict, and ten seconds. */
export const defaultLease = { mode: 'strict', seconds: 10 } as const

const graceMilliseconds = 30_000

/** All that follows from a mode and a length. */
export function leaseTerms({
  mode = defaultLease.mode,
  seconds = defaultLease.seconds,
}: { readonly mode?: LeaseMode; readonly seconds?: number } = {}): LeaseTerms {
  const milliseconds = seconds * 1000
  return { mode, milliseconds, renewEveryMilliseconds: milliseconds / 4, graceMilliseconds }
}
