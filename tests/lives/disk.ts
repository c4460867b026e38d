import { type AuditEvent, type AuditRecord, type AuditTrail } from '#protocol'
import type { Changes, Store } from '#store'

/*
 * A log and a store on one disk that can lose what was not synced: in memory, and in steps that somebody else decides.
 */

/** What the next start finds. */
export interface Surviving {
  readonly records: readonly AuditRecord[]
  readonly rows: ReadonlyMap<string, Uint8Array>
}

export class ModelLog implements AuditTrail {
  readonly records: AuditRecord[]
  readonly #now: () => number
  readonly #waiting: { readonly sequence: number; readonly resolve: () => void }[] = []
  #durable: number

  constructor(found: readonly AuditRecord[], now: () => number) {
    this.records = [...found]
    this.#durable = found.length - 1
    this.#now = now
  }

  append(event: AuditEvent): number {
    const place = { sequence: this.records.length, time: this.#now() }
    this.records.push({ ...event, ...place })
    return place.sequence
  }

  get durable(): number {
    return this.#durable
  }

  get answerable(): number {
    return this.#durable
  }

  get hasMore(): boolean {
    return this.#durable < this.records.length - 1
  }

  whenDurable(sequence: number): Promise<void> {
    if (sequence <= this.#durable) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ sequence, resolve }))
  }

  sync(): void {
    this.#durable = this.records.length - 1
    for (const { resolve } of this.#waiting.splice(0)) resolve()
  }

  readonly full = false
  readonly congested = false
  readonly healthy = true
  onAnswerable = stopNothing
  onDurable = stopNothing
  onCongestion = stopNothing
  onEnd = stopNothing
}

export class ModelStore implements Store {
  readonly rows: Map<string, Uint8Array>
  readonly #waiting: { readonly changes: Changes; readonly resolve: () => void }[] = []

  constructor(found: ReadonlyMap<string, Uint8Array>) {
    this.rows = new Map(found)
  }

  get hasMore(): boolean {
    return this.#waiting.length > 0
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.rows.get(key)
  }

  async *entries(prefix: string): AsyncIterable<readonly [string, Uint8Array]> {
    yield* [...this.rows].filter(([key]) => key.startsWith(prefix))
  }

  commit(changes: Changes): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ changes, resolve }))
  }

  /** The oldest commit that waits. */
  sync(): void {
    const [first] = this.#waiting.splice(0, 1)
    for (const key of first?.changes.deletes ?? []) this.rows.delete(key)
    for (const [key, value] of first?.changes.puts ?? []) this.rows.set(key, value)
    first?.resolve()
  }

  async close(): Promise<void> {}
}

function stopNothing(): () => void {
  return () => undefined
}
