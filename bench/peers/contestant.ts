import type { Fleet } from '../fleet.js'

/** A broker under measure, with the same duties as all: client certificates, topic rights, a line for every message. */
export interface Contestant {
  readonly name: string
  /** Why it cannot run here. */
  missing(): string | undefined
  start(setting: Setting): Promise<RunningBroker>
}

export interface Setting {
  /** Its own, empty, and removed afterwards. */
  readonly folder: string
  readonly fleet: Fleet
  /** Where to put CPU profiles, for the brokers that run on Node. */
  readonly profiles?: string
}

export interface RunningBroker {
  readonly port: number
  readonly pid: number
  /** Whether SIGUSR2 makes it collect its garbage. */
  readonly collects: boolean
  /** Ends it, and tells how many of its records are about a message that came in or went out, if it keeps any. */
  end(): Promise<{ readonly records?: number }>
}
