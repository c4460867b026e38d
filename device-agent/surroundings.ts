import type { OpenTpm } from './device-keys.js'

/** What the agent's commands get from the process they run in. */
export interface Surroundings {
  /** Of the program. */
  readonly version: string
  readonly openTpm: OpenTpm
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly home: string
  /** Data. */
  readonly out: (line: string) => void
  /** Everything else. */
  readonly err: (line: string) => void
  readonly readInput: () => Promise<string>
  /** The same, a line at a time as they come. */
  readonly readLines: () => AsyncIterable<string>
  /** Aborted when the process is asked to end. */
  readonly stopped: AbortSignal
}
