import { type AuditTrail, type OperatorFacts, type OperatorName, sourceOf } from '#protocol'
import { Repeats } from './repeats.js'

/** An operator who asks more different questions than this at a time has the others counted under one name. */
const maxQuestions = 16

interface Read {
  readonly query: string
  readonly by: OperatorFacts
}

/**
 * Who reads the log stands in the log. One who asks the same again and again, as a script does, is counted, and so is
 * one who asks ever anew: reading must not fill what is read.
 */
export class AuditReads {
  readonly #audit: AuditTrail
  readonly #ofOperators = new Map<OperatorName, Repeats<Read>>()

  constructor(audit: AuditTrail) {
    this.#audit = audit
  }

  /**
   * `question` is what of the search makes it the same as another one: "the last two hours" and "from here on" begin
   * elsewhere at every repetition.
   * @throws CodedError AUDIT_CLOSED: nothing is read that could not be recorded
   */
  add({ text, question }: { readonly text: string; readonly question: string }, by: OperatorFacts): void {
    const repeats = this.#repeatsOf(by.operator)
    const kind = `${sourceOf(by.peer ?? '')} ${question}` // the same from elsewhere is another read
    const isOneTooMany = repeats.size >= maxQuestions && !repeats.has(kind)
    if (isOneTooMany) repeats.add('many others', { query: 'many others', by })
    else repeats.add(kind, { query: text, by })
  }

  /** Records what is still being counted. */
  flush(): void {
    for (const repeats of this.#ofOperators.values()) repeats.flush()
  }

  #repeatsOf(operator: OperatorName): Repeats<Read> {
    const known = this.#ofOperators.get(operator)
    if (known !== undefined) return known
    const repeats = new Repeats<Read>(({ query, by }, count) => {
      this.#audit.append({ event: 'audit.read', query, ...by, ...(count > 1 && { count }) })
    })
    this.#ofOperators.set(operator, repeats)
    return repeats
  }
}
