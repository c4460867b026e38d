/** What machines that wait for an operator may take of us, and of each other. */
export interface ApprovalBounds {
  /** So many wait at once; one more takes the place of the oldest of the address range that has most. */
  readonly waiting: number
  /** So many of one address range wait at once. */
  readonly waitingOfSource: number
  /** So many of one manufacturer begin to wait within an hour. */
  readonly newOfMakerEachHour: number
  /** One that has not asked for so long waits no more. */
  readonly silentMs: number
  /** So long a machine is refused that an operator has denied, and an approval may be made use of. */
  readonly wordMs: number
  /** So many denials, and so many approvals, are remembered; the oldest go first. */
  readonly words: number
}

export const approvalBounds: ApprovalBounds = {
  waiting: 1024,
  waitingOfSource: 128,
  newOfMakerEachHour: 256,
  silentMs: 24 * 3_600_000,
  wordMs: 24 * 3_600_000,
  words: 1024,
}

/** How often a machine that waits is to ask. */
export const askAgainSeconds = 60
