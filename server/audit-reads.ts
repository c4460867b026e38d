import type { AuditTrail, OperatorFacts } from '#protocol'
import { Repeats } from './repeats.js'

interface Read {
  readonly query: string
  readonly by: OperatorFacts
}

/** Who reads the log stands in the log; one who asks the same again and again, as a script does, is counted. */
export class AuditReads {
  readonly #repeats: Repeats<Read>

  constructor(audit: AuditTrail) {
    this.#repeats = new Repeats(({ query, by }, count) => {
      audit.append({ event: 'audit.read', query, ...by, ...(count > 1 && { count }) })
    })
  }

  /** @throws CodedError AUDIT_CLOSED: nothing is read that could not be recorded */
  add(parameters: Readonly<Record<string, string>>, by: OperatorFacts): void {
    const query = new URLSearchParams(parameters).toString()
    // "The last two hours" and "from here on" begin elsewhere at every repetition.
    const { since: _since, until: _until, from: _from, ...question } = parameters
    this.#repeats.add(`${by.operator} ${new URLSearchParams(question).toString()}`, { query, by })
  }

  /** Records what is still being counted. */
  flush(): void {
    this.#repeats.flush()
  }
}
