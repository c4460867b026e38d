import type { IPublishPacket } from 'mqtt'
import { filterMatches, parseTopicFilter, parseTopicName, type TopicFilter, type TopicName } from '#protocol'
import { refusalIn } from '../bridge/refusal.js'
import type { BrokerSession } from '../broker.js'
import { AgentError } from '../errors.js'
import type { Passenger } from '../passenger.js'
import type { Message, Subscription } from './api.js'

interface Publication {
  readonly topic: TopicName
  readonly payload: Buffer
  readonly retain: boolean
  isSent: boolean
  readonly settle: (error?: AgentError) => void
}

interface Listening {
  readonly filter: TopicFilter
  readonly listener: (message: Message) => void
  /** Until the first answer; after that `refused` says it. */
  settle: ((error?: AgentError) => void) | undefined
}

/** Messages that the service has not answered. */
const maxUnanswered = 1000

/** What one program says and hears, over whatever connection the agent has. All with QoS 1, so that each has its answer. */
export class Conversation implements Passenger {
  readonly #refused: (filter: string, reason: AgentError) => void
  readonly #unanswered = new Set<Publication>()
  readonly #listening = new Set<Listening>()
  #session: BrokerSession | undefined
  #isOver = false

  constructor(refused: (filter: string, reason: AgentError) => void) {
    this.#refused = refused
  }

  get isConnected(): boolean {
    return this.#session !== undefined
  }

  async publish(topic: string, payload: string | Uint8Array, retain: boolean): Promise<void> {
    const name = parseTopicName(topic)
    if (this.#isOver) throw over()
    if (this.#unanswered.size >= maxUnanswered) {
      throw new AgentError('QUEUE_FULL', `${maxUnanswered} messages wait for the service already`)
    }
    await new Promise<void>((resolve, reject) => {
      const publication: Publication = {
        ...{ topic: name, payload: Buffer.from(payload), retain, isSent: false },
        settle: (error) => {
          this.#unanswered.delete(publication)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      this.#unanswered.add(publication)
      if (this.#session !== undefined) send(this.#session, publication)
    })
  }

  async subscribe(filter: string, listener: (message: Message) => void): Promise<Subscription> {
    const name = parseTopicFilter(filter)
    if (this.#isOver) throw over()
    const listening: Listening = { filter: name, listener, settle: undefined }
    await new Promise<void>((resolve, reject) => {
      listening.settle = (error) => {
        listening.settle = undefined
        if (error === undefined) resolve()
        else reject(error)
      }
      this.#listening.add(listening)
      if (this.#session !== undefined) this.#ask(this.#session, listening, 0)
    })
    return { unsubscribe: () => this.#unsubscribe(listening) }
  }

  boarded(session: BrokerSession): void {
    this.#session = session
    void session.ended.then(() => {
      if (this.#session === session) this.#session = undefined
    })
    for (const listening of this.#listening) this.#ask(session, listening, listening.settle === undefined ? 1 : 0)
    for (const publication of this.#unanswered) send(session, publication)
  }

  stranded(): void {
    this.#session = undefined
  }

  heard(topic: string, payload: Buffer, { retain }: IPublishPacket): void {
    const levels = topic.split('/')
    for (const { filter, listener } of this.#listening) {
      if (!filterMatches(filter.split('/'), levels)) continue
      // Not from within the client of MQTT: what a listener throws must not cost the message its acknowledgement.
      queueMicrotask(() => listener({ topic, payload, retain }))
    }
  }

  /** Nothing comes any more. */
  end(): void {
    this.#isOver = true
    for (const { settle } of this.#unanswered) settle(over())
    for (const { settle } of this.#listening) settle?.(over())
  }

  /** `retainHandling` 1: retained messages only where the service does not know the filter (MQTT 5.0 §3.8.3.1). */
  #ask({ client }: BrokerSession, listening: Listening, retainHandling: 0 | 1): void {
    const { filter } = listening
    client.subscribe(filter, { qos: 1, rh: retainHandling }, (error, _granted, packet) => {
      if (!error) return listening.settle?.()
      const refusal = refusalIn(error, packet)
      if (refusal === undefined) return // the connection is gone; it is asked for again on the next
      const reason = new AgentError('BROKER_REFUSED', `the broker refused: ${refusal.text}`)
      this.#listening.delete(listening)
      if (listening.settle !== undefined) listening.settle(reason)
      else this.#refused(filter, reason)
    })
  }

  #unsubscribe(listening: Listening): void {
    this.#listening.delete(listening)
    if ([...this.#listening].some(({ filter }) => filter === listening.filter)) return
    this.#session?.client.unsubscribe(listening.filter, () => undefined)
  }
}

function send({ client }: BrokerSession, publication: Publication): void {
  const { topic, payload, retain, isSent, settle } = publication
  publication.isSent = true
  client.publish(topic, payload, { qos: 1, retain, dup: isSent }, (error, packet) => {
    if (!error) return settle()
    const refusal = refusalIn(error, packet)
    if (refusal !== undefined) settle(new AgentError('BROKER_REFUSED', `the broker refused: ${refusal.text}`))
  })
}

function over(): AgentError {
  return new AgentError('CONNECTION_LOST', 'the device was closed before the service answered')
}
