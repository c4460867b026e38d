import { millisecondsOf, type NamedRule } from './reference.js'
import type { RecordOf, Standing } from './standing.js'

/** As MQTT 5 has them: of a question both, of an answer the data alone. */
export interface Correlation {
  readonly responseTopic?: string
  readonly correlationData?: string
}

interface Grant {
  readonly asked: RecordOf<'message.publish'>
  readonly rule: NamedRule
  /** Sequence number of the message.deliver record by which it was given. */
  readonly givenAt: number
}

/** Who was asked may answer once, to the topic and with the correlation data of the one who asked: docs/decisions/0012. */
export class Answers {
  readonly #standing: Standing
  /** By session, topic and correlation data; of each asker one, the oldest first. */
  readonly #grants = new Map<string, readonly Grant[]>()

  constructor(standing: Standing) {
    this.#standing = standing
  }

  /** `rule`: the one that has let the question through. */
  give(
    delivered: RecordOf<'message.deliver'>,
    asked: RecordOf<'message.publish'>,
    rule: NamedRule | undefined,
    { responseTopic, correlationData }: Correlation,
  ): void {
    if (!rule?.respond || responseTopic === undefined || correlationData === undefined) return
    if (delivered.retain || delivered.dup || delivered.device === asked.device) return
    if (this.#standing.isQuarantined(delivered.device)) return
    const key = keyOf(delivered.session, responseTopic, correlationData)
    const others = this.#at(key).filter((grant) => grant.asked.device !== asked.device)
    this.#grants.set(key, [...others, { asked, rule, givenAt: delivered.sequence }])
  }

  /** Whether it may be said by the rule that its record names; that is spent. */
  take(said: RecordOf<'message.publish'>, { correlationData }: Correlation): boolean {
    if (correlationData === undefined || said.retain) return false
    const key = keyOf(said.session, said.topic, correlationData)
    const taken = this.#at(key).find((grant) => grant.rule.name === said.rules[0] && this.#stands(grant, said))
    this.#grants.set(
      key,
      this.#at(key).filter((grant) => grant !== taken),
    )
    return taken !== undefined
  }

  #at(key: string): readonly Grant[] {
    return this.#grants.get(key) ?? []
  }

  /** In time, with the asker there, and both with the rights that they had. */
  #stands({ asked, rule, givenAt }: Grant, { time, device }: RecordOf<'message.publish'>): boolean {
    const { live } = this.#standing
    if (time >= asked.time + millisecondsOf(rule.respond?.within ?? '0s') || !live.has(asked.session)) return false
    return this.#standing.changedAt(device) < givenAt && this.#standing.changedAt(asked.device) < asked.sequence
  }
}

function keyOf(session: string, topic: string, correlationData: string): string {
  return `${session} ${topic} ${correlationData}`
}
