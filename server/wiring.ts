import type { Closing } from './closing.js'
import type { ServerConfig } from './config.js'

/** What the process gives the service. */
export interface Surroundings {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
  /** For whoever looks after the service. */
  readonly warn: (sentence: string) => void
}

/** What each part of the service is opened with. */
export interface Wiring extends Surroundings {
  readonly config: ServerConfig
  readonly closing: Closing
  /** A path below the data folder. */
  readonly inData: (...names: readonly string[]) => string
}
