import { AuditError } from '../errors.js'

interface Waiter<Answer> {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: AuditError) => void
}

export type Outcome<Answer extends object> = Answer | { readonly problem: string }

/** Who waits for which answer of the writer. */
export class Questions<Answer extends object> {
  readonly #unanswered: () => AuditError
  readonly #waiters = new Map<number, Waiter<Answer>>()
  #nextId = 0

  /** What those are told who will get no answer; default: AUDIT_CLOSED. */
  constructor(unanswered = () => new AuditError('AUDIT_CLOSED', 'the audit log has ended')) {
    this.#unanswered = unanswered
  }

  /** @throws AuditError AUDIT_FAILED with the problem that came for an answer; what is told when none will come */
  ask(send: (id: number) => void): Promise<Answer> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject })
      send(id)
    })
  }

  answer(id: number, outcome: Outcome<Answer>): void {
    const waiter = this.#waiters.get(id)
    this.#waiters.delete(id)
    if ('problem' in outcome) waiter?.reject(new AuditError('AUDIT_FAILED', outcome.problem))
    else waiter?.resolve(outcome)
  }

  /** Nothing more will be answered. */
  end(): void {
    const waiters = [...this.#waiters.values()]
    this.#waiters.clear()
    for (const { reject } of waiters) reject(this.#unanswered())
  }
}
