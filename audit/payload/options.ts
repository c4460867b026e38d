/** What is kept of a payload: nothing, a commitment in the message's record, or that and, apart from the log, the payload. */
export type PayloadMode = 'none' | 'commit' | 'store'

/** Passed to the writer's thread as it is. */
export interface PayloadOptions {
  readonly mode: PayloadMode
  /**
   * Holds the key of each day that wraps the keys of that day's devices. Outside the log's folder and outside its
   * backups: what is erased here must be erased everywhere.
   */
  readonly keyFolder: string
  /** How many days stored payloads are kept, today included. Default: 30 */
  readonly days?: number
  /** How many bytes they may take; beyond that the oldest go early. Default: 10 GiB */
  readonly maxBytes?: number
}

export const payloadDefaults = { days: 30, maxBytes: 10 * 1024 ** 3 } as const

/** The keys of some day. */
export interface KeysToErase {
  /** Days since 1970. */
  readonly day: number
  /** Only this device's. Default: those of all */
  readonly device?: string | undefined
}

/** What was destroyed. */
export interface Erasure {
  readonly count: number
}
