import type { AuditTrail } from '#protocol'
import type { Store } from '#store'
import { RegistryError } from './errors.js'
import { type Applied, changesOf, type Rows } from './rows.js'

/** Rows to write once the log holds the event that changed them. */
interface Waiting {
  readonly applied: Applied
  readonly rows: Rows
  /** The log holds its event. Asked for in the turn that gave the event its place: see AuditTrail. */
  readonly recorded: Promise<void>
  readonly resolve: () => void
  readonly reject: (cause: unknown) => void
}

/**
 * Brings changes to the store in the order of their events, never before the log holds them durably, and together with
 * the sequence number up to which the store has come. What is waiting shares one commit. After a failure nothing is
 * written any more: a later commit would claim a sequence number whose earlier rows are missing.
 */
export class Commits {
  readonly #store: Store
  readonly #audit: AuditTrail
  #waiting: Waiting[] = []
  #running: Promise<void> | undefined
  #failure: RegistryError | undefined

  #newest: number

  /** Goes on behind `applied`, up to which the store has come. */
  constructor(store: Store, audit: AuditTrail, applied: number) {
    this.#store = store
    this.#audit = audit
    this.#newest = applied
  }

  /** Up to which sequence number the store will have come when all that waits is written. */
  get newest(): number {
    return this.#newest
  }

  /** @throws RegistryError REGISTRY_FAILED once a write has failed */
  requireHealthy(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Resolves when log and store hold the change durably. @throws RegistryError REGISTRY_FAILED */
  add(applied: Applied, rows: Rows): Promise<void> {
    this.requireHealthy()
    this.#newest = applied.sequence
    const recorded = this.#audit.whenDurable(applied.sequence)
    recorded.catch(() => undefined) // whoever waits for the change is told below
    return new Promise((resolve, reject) => {
      this.#waiting.push({ applied, rows, recorded, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Resolves when everything added so far is durable. @throws RegistryError REGISTRY_FAILED */
  async settled(): Promise<void> {
    await this.#running
    this.requireHealthy()
  }

  /** Never rejects: whoever waits for a change is told by its own promise. */
  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        this.requireHealthy()
        await this.#write(batch)
        for (const change of batch) change.resolve()
      } catch (cause) {
        this.#failure ??= new RegistryError('REGISTRY_FAILED', 'a change could not be made durable', { cause })
        for (const change of batch) change.reject(this.#failure)
      }
    }
    this.#running = undefined
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const last = batch.at(-1)
    if (last === undefined) return
    await last.recorded
    const rows = new Map(batch.flatMap((change) => [...change.rows])) // the later change of a row wins
    await this.#store.commit(changesOf(rows, last.applied))
  }
}
