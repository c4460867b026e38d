import { setTimeout as delay } from 'node:timers/promises'
import type { TopicFilter } from '#protocol'
import { type BackOff, waitAfter } from '../back-off.js'
import type { BrokerSession } from '../broker.js'
import type { KnownFilters } from './known-filters.js'
import type { BridgeLimits } from './limits.js'
import type { QueuedMessage } from './message.js'
import type { MessageQueue } from './queue.js'
import { type Refusal, refusalIn } from './refusal.js'
import { Throttle } from './throttle.js'

export interface UplinkOptions {
  readonly queue: MessageQueue
  readonly known: KnownFilters
  readonly limits: BridgeLimits
  /** 0 to 1. */
  readonly random: () => number
  /** What is to be asked for on every new connection. */
  readonly filters: () => readonly TopicFilter[]
  /** A message that the service did not take, and will not. */
  readonly publishRefused: (message: QueuedMessage, refusal: Refusal) => void
  readonly subscribeRefused: (filter: TopicFilter, refusal: Refusal) => void
}

/** For a service that has no room now. */
const puttingOff: BackOff = { firstMs: 1_000, mostMs: 60_000 }

/**
 * What the bridge says to the service, over whatever connection the agent has. All of it goes with QoS 1: a refusal is
 * then the answer to one message, and not the end of the device's session (MQTT 5.0 §3.4.2.1).
 */
export class Uplink {
  readonly #options: UplinkOptions
  #session: BrokerSession | undefined
  #over = new AbortController()
  readonly #throttle: Throttle

  constructor(options: UplinkOptions) {
    this.#options = options
    this.#throttle = new Throttle(options.limits.maxSentPerSecond)
  }

  get isConnected(): boolean {
    return this.#session !== undefined
  }

  /** From here on everything goes over this session. */
  board(session: BrokerSession): void {
    this.#leave()
    this.#session = session
    const over = (this.#over = new AbortController())
    void session.ended.then(() => {
      if (this.#session !== session) return
      this.#blameOldest(session)
      this.#leave()
    })
    const wanted = new Set(this.#options.filters())
    for (const filter of this.#options.known.all) if (!wanted.has(filter)) this.unsubscribe(filter)
    // Retained messages come again only where the service has lost the session (MQTT 5.0 §3.8.3.1).
    for (const filter of wanted) {
      void this.#ask(session, filter, { rh: 1 }).then((refusal) => {
        if (refusal !== undefined) this.#options.subscribeRefused(filter, refusal)
      })
    }
    this.#options.queue.carried()
    void this.#carry(session, over)
  }

  /** Undefined when it was granted, or nobody could say so in time. */
  async subscribe(filter: TopicFilter, identifier: number): Promise<Refusal | undefined> {
    const session = this.#session
    if (session === undefined) return undefined
    const answered = new AbortController()
    const asking = this.#ask(session, filter, { rh: 0, properties: { subscriptionIdentifier: identifier } })
    const waiting = delay(this.#options.limits.subscribeSeconds * 1000, undefined, { signal: answered.signal })
    try {
      return await Promise.race([asking, waiting.catch(() => undefined)])
    } finally {
      answered.abort()
    }
  }

  /** At the next connection where there is none. */
  unsubscribe(filter: TopicFilter): void {
    this.#session?.client.unsubscribe(filter, (error) => {
      if (!error && !this.#options.filters().includes(filter)) this.#options.known.delete(filter)
    })
  }

  close(): void {
    this.#leave()
  }

  #leave(): void {
    if (this.#session === undefined) return
    this.#session = undefined
    this.#over.abort()
    this.#options.queue.stranded()
  }

  async #carry(session: BrokerSession, over: AbortController): Promise<void> {
    const { queue, limits } = this.#options
    const underWay = new Set<Promise<void>>()
    for (;;) {
      const message = await queue.take(over.signal)
      if (message === undefined) return
      // One that made trouble goes alone, so that it is known whose trouble it is, and nothing overtakes it.
      const room = message.failures > 0 ? 1 : limits.maxInFlight
      while (underWay.size >= room && !over.signal.aborted) await aborted(over.signal, Promise.race(underWay))
      await this.#turn(over.signal)
      if (over.signal.aborted) return queue.putBack(message)
      const answered: Promise<void> = this.#send(session, message, over).finally(() => underWay.delete(answered))
      underWay.add(answered)
      if (message.failures > 0) await aborted(over.signal, answered)
    }
  }

  /** Settles when the service has answered; what a lost connection leaves unanswered is sent again on the next. */
  async #send(session: BrokerSession, message: QueuedMessage, over: AbortController): Promise<void> {
    const { queue, limits, random } = this.#options
    const { topic, payload, retain, maybeSent } = message
    const refusal = await new Promise<Refusal | 'lost' | undefined>((resolve) => {
      session.client.publish(topic, Buffer.from(payload), { qos: 1, retain, dup: maybeSent }, (error, packet) => {
        resolve(error ? (refusalIn(error, packet) ?? 'lost') : undefined)
      })
    })
    if (refusal === undefined) queue.done(message)
    else if (refusal === 'lost') over.abort()
    else if (refusal.isPassing && ++message.failures < limits.maxTries) {
      this.#throttle.pause(waitAfter(puttingOff, message.failures, random))
      queue.putBack(message)
    } else this.#giveUp(message, refusal)
  }

  #giveUp(message: QueuedMessage, refusal: Refusal): void {
    this.#options.queue.done(message)
    this.#options.publishRefused(message, refusal)
  }

  /** The service ended the connection over a packet: the oldest that it did not answer is the first to be doubted. */
  #blameOldest(session: BrokerSession): void {
    const said = session.reason()
    const oldest = this.#options.queue.oldestTaken
    if (oldest === undefined || said?.packet !== 'disconnect' || !aboutPackets.has(said.code)) return
    if (++oldest.failures >= this.#options.limits.maxTries) this.#giveUp(oldest, { ...said, isPassing: false })
  }

  #ask(
    { client }: BrokerSession,
    filter: TopicFilter,
    options: { readonly rh: 0 | 1; readonly properties?: { readonly subscriptionIdentifier: number } },
  ): Promise<Refusal | undefined> {
    this.#options.known.add(filter)
    return new Promise((resolve) => {
      client.subscribe(filter, { qos: 1, ...options }, (error, _granted, packet) => {
        resolve(error ? refusalIn(error, packet) : undefined)
      })
    })
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const wait = this.#throttle.take()
    if (wait > 0) await delay(wait, undefined, { signal }).catch(() => undefined)
  }
}

/** MQTT 5.0 §3.14.2.1: malformed packet, protocol error, topic name, topic alias, packet too large, payload format. */
const aboutPackets: ReadonlySet<number> = new Set([0x81, 0x82, 0x90, 0x94, 0x95, 0x99])

/** Resolves with the promise, or when the signal comes first. */
async function aborted(signal: AbortSignal, promise: Promise<unknown>): Promise<void> {
  const done = new AbortController()
  const coming = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { signal: done.signal })
  })
  await Promise.race([promise, coming])
  done.abort()
}
