/** Calls `then` after some time, unless it is cancelled before. */
export type Timer = (milliseconds: number, then: () => void) => () => void
