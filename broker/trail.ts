import type { AuditEvent, AuditTrail } from '#protocol'
import type { Silencing } from './speaker.js'

/** Something that is to happen when its record is answerable. */
export interface Waiting {
  readonly sequence: number
  run(): void
  /** Of what a device has said: is told whether it is never to be heard. */
  silence?(silencing: Silencing): void
}

/**
 * The audit log as the broker lives by it: a packet is recorded first, and what it brings about (an answer, a fan-out, a
 * change of subscriptions) happens when the record is answerable, which in the log's strict mode is when it is durable.
 * All of it happens in the order of the log, so that the log's order is the order of the world.
 */
export class Trail {
  readonly #audit: AuditTrail
  /** First in, first out. */
  #waiting: Waiting[] = []
  #head = 0
  #running = false
  readonly #stopListening: () => void

  constructor(audit: AuditTrail) {
    this.#audit = audit
    this.#stopListening = audit.onAnswerable(() => this.#run())
  }

  /** @throws CodedError AUDIT_CLOSED: then nothing may happen. */
  record(event: AuditEvent, payload?: Uint8Array): number {
    return this.#audit.append(event, payload)
  }

  /** For what happens whether it can be recorded or not: a connection that is gone, a revocation. */
  recordIfPossible(event: AuditEvent): number | undefined {
    try {
      return this.#audit.append(event)
    } catch {
      return undefined
    }
  }

  /** Runs the action when the record is answerable and all actions before it have run. */
  after(sequence: number, action: () => void): void {
    this.await({ sequence, run: action })
  }

  /** The same for what is an object already. */
  await(waiting: Waiting): void {
    this.#waiting.push(waiting)
    this.#run()
  }

  /**
   * Has what was said and waits for its record go nowhere, where something stands against it. Each is told by itself and
   * stays silenced, whatever is allowed again before its turn comes: nothing about it needs to be remembered elsewhere.
   */
  silence(silencing: Silencing): void {
    for (let at = this.#head; at < this.#waiting.length; at++) this.#waiting[at]?.silence?.(silencing)
  }

  /** Resolves when everything that waits now has run, and its records are durable. */
  async settled(): Promise<void> {
    const last = this.#waiting.reduce((latest, { sequence }) => Math.max(latest, sequence), -1)
    await this.#audit.whenDurable(last)
  }

  close(): void {
    this.#stopListening()
  }

  /** Not re-entrant: an action that waits for a record which is answerable already comes after those in the queue. */
  #run(): void {
    if (this.#running) return
    this.#running = true
    let next = this.#waiting[this.#head]
    while (next && next.sequence <= this.#audit.answerable) {
      this.#head++
      runAlone(next)
      next = this.#waiting[this.#head]
    }
    if (this.#head === this.#waiting.length || this.#head > 1000) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
    this.#running = false
  }
}

/** What has waited for a disk has answered for its own errors, see `Connection.guarded`; those behind it have their turn. */
export function runAlone(waiting: Pick<Waiting, 'run'>): void {
  try {
    waiting.run()
  } catch {
    // Nothing of it has happened that was not recorded, and whoever waits for its answer will not get one.
  }
}
