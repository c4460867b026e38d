import { type AuditTrail, type OperatorFacts, type OperatorName, sourceOf } from '#protocol'
import { coverBoth, describeReading, questionOf, type Reading } from './readings.js'
import { Repeats } from './repeats.js'

/** An operator who asks more different questions than this at a time has the others counted under one name. */
const maxQuestions = 16

interface Read {
  /** Undefined for questions that have nothing in common. */
  readonly reading: Reading | undefined
  readonly by: OperatorFacts
}

/**
 * Who reads the log stands in the log. One who asks the same again and again, as a script does, is counted, and so is
 * one who asks ever anew: reading must not fill what is read. What is counted as one says no less than what was read.
 */
export class AuditReads {
  readonly #audit: AuditTrail
  readonly #ofOperators = new Map<OperatorName, Repeats<Read>>()

  constructor(audit: AuditTrail) {
    this.#audit = audit
  }

  /** @throws CodedError AUDIT_CLOSED: nothing is read that could not be recorded */
  add(reading: Reading, by: OperatorFacts): void {
    const repeats = this.#repeatsOf(by.operator)
    const kind = `${sourceOf(by.peer ?? '')} ${questionOf(reading)}` // the same from elsewhere is another read
    const isOneTooMany = repeats.size >= maxQuestions && !repeats.has(kind)
    if (!isOneTooMany) repeats.add(kind, { reading, by })
    else if (reading.of === 'proofs') repeats.add('many proofs', { reading, by })
    else repeats.add('many others', { reading: undefined, by })
  }

  /** Records what is still being counted. */
  flush(): void {
    for (const repeats of this.#ofOperators.values()) repeats.flush()
  }

  #repeatsOf(operator: OperatorName): Repeats<Read> {
    const known = this.#ofOperators.get(operator)
    if (known !== undefined) return known
    const repeats = new Repeats<Read>(({ reading, by }, count) => {
      const query = reading ? describeReading(reading) : 'many others'
      this.#audit.append({ event: 'audit.read', query, ...by, ...(count > 1 && { count }) })
    }, asOne)
    this.#ofOperators.set(operator, repeats)
    return repeats
  }
}

function asOne(one: Read, other: Read): Read {
  return { ...one, reading: one.reading && other.reading && coverBoth(one.reading, other.reading) }
}
