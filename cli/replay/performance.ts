import type { IPublishPacket } from 'mqtt'
import { itemPrinter } from '../commands/audit/printer.js'
import type { Record } from '../commands/audit/record.js'
import type { Output } from '../output.js'
import type { Act } from './act.js'
import type { Answer } from './answer.js'
import { describeOutcome, type Outcome } from './outcome.js'
import type { Payload } from './payload.js'
import { indexOf } from './recording.js'
import { Tally } from './tally.js'
import type { TargetBroker } from './target-broker.js'
import { arrivalCells, timelineCells } from './timeline.js'

/** What a device did, and what it is to say with it; nothing, but where it publishes. */
export interface Deed {
  readonly record: Record
  readonly act: Act
  readonly payload: Payload
}

type Due = Deed & { readonly offsetMs: number }

/** Does again at a broker what a device did, and says of each deed what became of it. */
export class Performance {
  readonly #output: Output
  readonly #print: ReturnType<typeof itemPrinter>
  readonly #broker: TargetBroker
  readonly #tally = new Tally()
  #offsetMs = 0

  constructor(output: Output, broker: TargetBroker) {
    this.#output = output
    this.#print = itemPrinter(output)
    this.#broker = broker
    broker.onMessage((message) => this.#hear(message))
  }

  get refused(): number {
    return this.#tally.refused
  }

  /** Up to the session's record of that index; resolves when everything is answered. @throws CliError CONNECTION_LOST */
  async play(deeds: AsyncIterable<Due>, lastIndex: number): Promise<void> {
    const progress = this.#output.isShown ? undefined : this.#output.progress()
    const untold: Promise<void>[] = []
    let told = Promise.resolve()
    let firstIndex: number | undefined
    try {
      for await (const due of deeds) {
        const index = indexOf(due.record)
        firstIndex ??= index
        progress?.update(index - firstIndex, lastIndex - firstIndex + 1)
        if (untold.length >= this.#broker.mostInFlight) await untold.shift()
        told = this.#tellAfter(told, due, this.#perform(due))
        told.catch(() => undefined) // the next one, or the end, throws it
        untold.push(told)
      }
      await told
    } finally {
      await told.catch(() => undefined) // what is on its way when there is no more to send
      progress?.end()
    }
  }

  /** The sum of it all. */
  tell(): void {
    if (!this.#output.isForPeople) this.#print({ event: 'replay.end', ...this.#tally.totals }, () => [])
    this.#output.note(this.#tally.describe())
  }

  async #perform({ act, payload, offsetMs }: Due): Promise<Outcome> {
    this.#offsetMs = offsetMs
    this.#tally.begin()
    switch (act.does) {
      case 'connect':
        return { is: 'connected' }
      case 'end':
        return { is: 'ended' }
      case 'nothing':
        return { is: 'skipped', why: act.why }
      case 'subscribe':
        return accepted(await this.#broker.subscribe(act.filter, act.qos), { is: 'subscribed' })
      case 'unsubscribe':
        return accepted(await this.#broker.unsubscribe(act.filter), { is: 'unsubscribed' })
      case 'publish': {
        const { topic, qos, retain } = act.message
        const answer = await this.#broker.publish({ topic, qos, retain, payload: payload.bytes })
        return accepted(answer, { is: qos === 0 ? 'sent' : 'acknowledged', placeholder: payload.isPlaceholder })
      }
    }
  }

  /** In the order of the recording. */
  async #tellAfter(told: Promise<void>, { record, offsetMs }: Due, outcome: Promise<Outcome>): Promise<void> {
    const [, replay] = await Promise.all([told, outcome])
    const { count } = record
    this.#tally.end(replay, typeof count === 'number' ? count : 1)
    this.#print({ offsetMs, replay, ...record }, () => timelineCells(record, offsetMs, describeOutcome(replay)))
  }

  #hear({ topic, qos, retain, payload }: IPublishPacket): void {
    this.#tally.arrive()
    const arrival = { topic, qos, retain, size: Buffer.byteLength(payload) }
    const offsetMs = this.#offsetMs
    this.#print({ offsetMs, event: 'replay.receive', ...arrival }, () => arrivalCells(arrival, offsetMs))
  }
}

function accepted(answer: Answer, outcome: Outcome): Outcome {
  return answer.is === 'accepted' ? outcome : answer
}
