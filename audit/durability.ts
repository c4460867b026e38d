import { AuditError } from './errors.js'

interface Waiter {
  readonly sequence: number
  readonly resolve: () => void
  readonly reject: (error: AuditError) => void
}

/** How far the log is on disk, and who waits for it to get further. */
export class Durability {
  #durable: number
  #failure: AuditError | undefined
  #waiters: Waiter[] = []
  readonly #listeners = new Set<(durable: number) => void>()

  constructor(durable: number) {
    this.#durable = durable
  }

  get durable(): number {
    return this.#durable
  }

  when(sequence: number): Promise<void> {
    if (sequence <= this.#durable) return Promise.resolve()
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => this.#waiters.push({ sequence, resolve, reject }))
  }

  onAdvance(listener: (durable: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  advance(durable: number): void {
    if (this.#failure || durable <= this.#durable) return
    this.#durable = durable
    for (const listener of [...this.#listeners]) listener(durable)
    const waiters = this.#waiters
    this.#waiters = waiters.filter(({ sequence }) => sequence > durable)
    for (const { sequence, resolve } of waiters) if (sequence <= durable) resolve()
  }

  /** Final: what is not durable now never will be. */
  fail(cause: unknown): void {
    if (this.#failure) return
    this.#failure = new AuditError('AUDIT_FAILED', 'the audit log could not be written', { cause })
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(this.#failure)
  }
}
