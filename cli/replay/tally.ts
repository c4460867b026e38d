import { type Omission, omissions } from './act.js'
import type { Outcome } from './outcome.js'

/** How a replay went, in numbers. */
export class Tally {
  #begun = 0
  #ended = 0
  #acknowledged = 0
  #sent = 0
  #placeholders = 0
  #subscribed = 0
  #arrived = 0
  readonly #refused = new Map<string, number>()
  readonly #skipped = new Map<Omission, number>()

  begin(): void {
    this.#begun++
  }

  /** `times`: how many refusals of back then the record stands for. */
  end(outcome: Outcome, times: number): void {
    this.#ended++
    if ('placeholder' in outcome && outcome.placeholder) this.#placeholders++
    if (outcome.is === 'acknowledged') this.#acknowledged++
    if (outcome.is === 'sent') this.#sent++
    if (outcome.is === 'subscribed') this.#subscribed++
    if (outcome.is === 'refused') add(this.#refused, outcome.text, 1)
    if (outcome.is === 'skipped') add(this.#skipped, outcome.why, times)
  }

  /** A message came for one of the subscriptions. */
  arrive(): void {
    this.#arrived++
  }

  get refused(): number {
    return [...this.#refused.values()].reduce((sum, count) => sum + count, 0)
  }

  get totals() {
    return {
      acknowledged: this.#acknowledged,
      sent: this.#sent,
      placeholders: this.#placeholders,
      subscribed: this.#subscribed,
      arrived: this.#arrived,
      refused: Object.fromEntries(this.#refused),
      skipped: Object.fromEntries(this.#skipped),
      unanswered: this.#begun - this.#ended,
    }
  }

  /** A line each, for people. */
  describe(): string {
    const { acknowledged, sent, placeholders, subscribed, arrived, unanswered } = this.totals
    const lines: readonly (readonly [count: number, what: string])[] = [
      [acknowledged, 'acknowledged'],
      [sent, 'sent at QoS 0, which nobody acknowledges'],
      [placeholders, 'of these with a placeholder'],
      [subscribed, 'subscribed'],
      [arrived, 'arrived for what was subscribed'],
      ...[...this.#refused].map(([why, count]) => [count, `REFUSED: ${why}`] as const),
      ...[...this.#skipped].map(([why, count]) => [count, `not sent: ${omissions[why]}`] as const),
      [unanswered, 'not answered'],
    ]
    const told = lines.filter(([count]) => count > 0)
    return told.length === 0 ? 'Nothing was sent.' : told.map(([count, what]) => `${count} ${what}`).join('\n')
  }
}

function add<Name>(counts: Map<Name, number>, name: Name, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count)
}
