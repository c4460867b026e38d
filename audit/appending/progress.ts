import { AuditError } from '../errors.js'

interface Waiter {
  readonly sequence: number
  readonly resolve: () => void
  readonly reject: (error: AuditError) => void
}

/** How far the log has come in one respect (on disk, answerable), and who waits for it to get further. */
export class Progress {
  #reached: number
  #failure: AuditError | undefined
  #waiters: Waiter[] = []
  readonly #listeners = new Set<(reached: number) => void>()

  constructor(reached: number) {
    this.#reached = reached
  }

  /** The last sequence number that it has come to. */
  get reached(): number {
    return this.#reached
  }

  when(sequence: number): Promise<void> {
    if (sequence <= this.#reached) return Promise.resolve()
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => this.#waiters.push({ sequence, resolve, reject }))
  }

  /** Whether it gets there in time; nobody is left waiting after that. */
  reaches(sequence: number, withinMs: number): Promise<boolean> {
    if (sequence <= this.#reached) return Promise.resolve(true)
    return new Promise((resolve) => {
      const end = (came: boolean): void => {
        clearTimeout(timer)
        stop()
        resolve(came)
      }
      const stop = this.onAdvance((reached) => reached >= sequence && end(true))
      const timer = setTimeout(() => end(false), withinMs)
    })
  }

  onAdvance(listener: (reached: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  advance(reached: number): void {
    if (this.#failure || reached <= this.#reached) return
    this.#reached = reached
    for (const listener of [...this.#listeners]) listener(reached)
    const waiters = this.#waiters
    this.#waiters = waiters.filter(({ sequence }) => sequence > reached)
    for (const { sequence, resolve } of waiters) if (sequence <= reached) resolve()
  }

  /** Final: what has not been reached now never will be. */
  fail(cause: unknown): void {
    this.#failure ??= this.abandon(cause)
  }

  /** Whoever waits now has waited in vain; what comes later may be reached all the same. */
  abandon(cause: unknown): AuditError {
    const failure = new AuditError('AUDIT_FAILED', 'the audit log could not be written', { cause })
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(failure)
    return failure
  }
}
