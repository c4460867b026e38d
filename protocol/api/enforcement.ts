/** What came of an act that keeps somebody out: it acts first and is recorded second. */
export interface Enforcement {
  /** Connections that were ended, or would be. */
  readonly sessions: number
  /** Queued and retained messages that were removed. */
  readonly purged: number
  /** False when it acts already but the audit log could not record it yet. */
  readonly recorded: boolean
  /** Brokers that have not reported yet that it acts. */
  readonly outstanding: readonly string[]
}
