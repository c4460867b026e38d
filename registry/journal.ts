import { type AuditTrail, CodedError, type RegistryEvent, type ServiceEvent } from '#protocol'
import { applyEvent } from './apply.js'
import type { Commits } from './commits.js'
import { takeChangedRows } from './rows.js'
import type { RegistryState } from './state.js'

/** What acts already, on its way to the disk. */
export interface Recording {
  readonly recorded: Promise<void>
  readonly done: Promise<void>
}

/** What keeps somebody out, and acts. */
export interface Shutting extends Recording {
  /** Its place among all changes of who is kept out. */
  readonly epoch: number
}

/**
 * The way of an event that was checked: into the audit log, into the state, and from there to the store. What opens is
 * recorded before it acts; what shuts acts whether it can be recorded or not.
 */
export class Journal {
  readonly #state: RegistryState
  readonly #audit: AuditTrail
  readonly #commits: Commits

  constructor(state: RegistryState, audit: AuditTrail, commits: Commits) {
    this.#state = state
    this.#audit = audit
    this.#commits = commits
  }

  /**
   * Its place in the log, its effect with what `follows` from it, and the way to the disk, all before this returns.
   * `async` only so that every failure is a rejection, and of two changes made together neither goes unheard.
   */
  async change(event: RegistryEvent, follows: () => void = () => undefined): Promise<void> {
    this.#commits.requireHealthy()
    const sequence = this.#audit.append(event) // when the log takes nothing any more, nothing may happen
    applyEvent(this.#state, event)
    follows()
    return this.#commit(sequence)
  }

  /** What acts whether it can be recorded or not. */
  actFirst(events: readonly RegistryEvent[]): Recording {
    for (const event of events) applyEvent(this.#state, event)
    const placed = events.map((event) => this.#place(event))
    const recorded = all(placed.map(async (place) => this.#audit.whenDurable((await place).sequence)))
    const done = all(placed.map(async (place) => (await place).committed))
    // The caller hears of it; one that does not listen must not end the process.
    for (const outcome of [recorded, done]) outcome.catch(() => undefined)
    return { recorded, done }
  }

  /** What changes nothing here and has happened already; it has, also where it cannot be recorded. */
  note(event: ServiceEvent): void {
    try {
      this.#audit.append(event)
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
    }
  }

  /** Resolves when all changes so far are durable. @throws RegistryError REGISTRY_FAILED */
  settled(): Promise<void> {
    return this.#commits.settled()
  }

  /** See {@link Registry.readLogOnlyFrom}. @throws RegistryError REGISTRY_FAILED */
  async readOnlyFrom(sequence: number): Promise<void> {
    if (sequence - 1 <= this.#commits.newest) return this.settled()
    await this.#commit(sequence - 1)
  }

  /** For what has acted already: a log that is full now is asked again whenever it has got something on the disk. */
  async #place(event: RegistryEvent): Promise<{ readonly sequence: number; readonly committed: Promise<void> }> {
    for (;;) {
      try {
        const sequence = this.#audit.append(event)
        return { sequence, committed: this.#commit(sequence) }
      } catch (error) {
        if (!(error instanceof CodedError) || error.code !== 'AUDIT_FULL') throw error
      }
      await this.#audit.whenDurable(this.#audit.durable + 1)
    }
  }

  /** `async` so that a store that has failed is a rejection too. */
  async #commit(sequence: number): Promise<void> {
    return this.#commits.add({ sequence, epoch: this.#state.epoch }, takeChangedRows(this.#state))
  }
}

async function all(works: readonly Promise<void>[]): Promise<void> {
  await Promise.all(works)
}
