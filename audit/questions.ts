import { AuditError } from './errors.js'

interface Waiter<Answer> {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: AuditError) => void
}

/** Who waits for which answer of the writer. */
export class Questions<Answer extends object> {
  readonly #waiters = new Map<number, Waiter<Answer>>()
  #nextId = 0

  /** @throws AuditError AUDIT_FAILED with the problem that came for an answer; AUDIT_CLOSED when none will come */
  ask(send: (id: number) => void): Promise<Answer> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject })
      send(id)
    })
  }

  answer(id: number, outcome: Answer | { readonly problem: string }): void {
    const waiter = this.#waiters.get(id)
    this.#waiters.delete(id)
    if ('problem' in outcome) waiter?.reject(new AuditError('AUDIT_FAILED', outcome.problem))
    else waiter?.resolve(outcome)
  }

  /** Nothing more will be answered. */
  end(): void {
    const waiters = [...this.#waiters.values()]
    this.#waiters.clear()
    for (const { reject } of waiters) reject(new AuditError('AUDIT_CLOSED', 'the audit log has ended'))
  }
}
