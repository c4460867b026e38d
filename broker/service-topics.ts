import {
  asksForServices,
  filterMatches,
  type OfferChange,
  type OfferedService,
  type TopicFilter,
  topicLevels,
  type TopicName,
  topicOfService,
} from '#protocol'
import { decide } from './decision.js'
import type { Delivery } from './delivery.js'
import type { Handover, Hearing } from './handover.js'
import { Message } from './message.js'
import type { Retained } from './routing/retained.js'
import type { Session } from './session.js'

interface ServiceTopicsOptions {
  readonly handover: Handover
  readonly delivery: Delivery
  readonly retained: Retained<Message>
  /** To all who subscribed. */
  readonly route: (message: Message) => void
}

/**
 * Tells of the services that devices offer, in retained topics `$touchmark/services/DEVICE/SERVICE`. Each subscriber hears
 * of those that its `discover` rules show it, as {@link Rights.discover} decides whenever one is handed over; of others
 * it hears nothing, and nothing is recorded. What it was told of and may no longer see, or is offered no more, is taken
 * back by an empty message, under the rule by which it was told. At most once, and never stored.
 */
export class ServiceTopics {
  readonly #options: ServiceTopicsOptions

  constructor(options: ServiceTopicsOptions) {
    this.#options = options
  }

  /** A device offers other services than before. */
  change({ before, after }: OfferChange): void {
    for (const offer of after) this.#announce(offer)
    const offered = new Set(after.map(({ service }) => service))
    for (const offer of before) if (!offered.has(offer.service)) this.#retract(offer)
  }

  /** The last step of a service's way to one subscriber. */
  tell(session: Session, message: Message, retain: boolean, identifiers: readonly number[]): void {
    const { link, ready, told } = session
    if (!link || !ready) return // told when it is: see renew
    const { topic, offer } = message
    const hearing = this.#hearing(session, message)
    if (!hearing || !offer) return this.#takeBack(session, topic)
    if (told.get(topic)?.message === message) return
    if (link.writer.full) return this.#replay(session) // when it has room
    const handing = { level: link.level, qos: 0, retain, dup: false, packetId: 0, identifiers } as const
    if (this.#options.handover.hand(session, link, message, handing, hearing)) {
      told.set(topic, { offer, message, hearing, identifiers })
    }
  }

  /** Its rights are others, or it is connected again: it hears what it has not been told, and what it may not see goes. */
  renew(session: Session): void {
    if (!session.link || !session.ready) return
    const { retained } = this.#options
    for (const topic of session.told.keys()) {
      const message = retained.get(topic)
      if (!message || !this.#hearing(session, message)) this.#takeBack(session, topic)
    }
    this.#replay(session)
  }

  /** It has subscribed, perhaps to what it knows: it is told again [MQTT-3.8.4-3]. */
  repeat(session: Session, filter: TopicFilter): void {
    const { told } = session
    if (told.size === 0 || !asksForServices(filter)) return
    const levels = topicLevels(filter)
    for (const [topic, last] of told) {
      if (filterMatches(levels, topicLevels(topic))) told.set(topic, { ...last, message: undefined })
    }
  }

  /** It has unsubscribed: of what it does not hear any more, nothing is taken back. */
  forget({ told, subscriptions }: Session, left: TopicFilter): void {
    if (told.size === 0 || !asksForServices(left)) return
    const filters = [...subscriptions.values()].map(({ filter }) => topicLevels(filter))
    const gone = topicLevels(left)
    for (const topic of told.keys()) {
      const levels = topicLevels(topic)
      const isLeft = filterMatches(gone, levels) && !filters.some((filter) => filterMatches(filter, levels))
      if (isLeft) told.delete(topic)
    }
  }

  #announce(offer: OfferedService): void {
    const { retained } = this.#options
    const message = createMessage(offer, Buffer.from(JSON.stringify(offer)))
    const known = retained.get(message.topic)
    if (known && Buffer.compare(known.payload, message.payload) === 0) return
    message.keep()
    retained.restore(message) // never to be stored: what is offered is found anew at each start
    this.#options.route(message)
  }

  #retract(offer: OfferedService): void {
    const message = createMessage(offer, nothing)
    if (this.#options.retained.release(message.topic)) this.#options.route(message)
  }

  #replay(session: Session): void {
    const { delivery, retained } = this.#options
    for (const subscription of session.subscriptions.values()) {
      const { filter } = subscription
      if (asksForServices(filter)) delivery.replay(session, subscription, retained.matching(filter))
    }
  }

  /** Deny when in doubt; what is gone nobody may see. */
  #hearing({ rights }: Session, { offer, payload }: Message): Hearing | undefined {
    if (offer === undefined || payload.length === 0) return undefined
    const decision = decide(rights.version, () => rights.discover(offer))
    return decision.effect === 'allow' ? { ...decision, qos: 0 } : undefined
  }

  /** However little the client reads: there is at most one such message for each that it has read. */
  #takeBack(session: Session, topic: TopicName): void {
    const { link, told } = session
    const last = told.get(topic)
    if (!link || !last) return
    told.delete(topic)
    const { hearing, identifiers } = last
    const handing = { level: link.level, qos: 0, retain: false, dup: false, packetId: 0, identifiers } as const
    this.#options.handover.hand(session, link, createMessage(last.offer, nothing), handing, hearing)
  }
}

const nothing = Buffer.alloc(0)

/** At most once: one that waited would be old. */
function createMessage(offer: OfferedService, payload: Uint8Array): Message {
  const rest = { qos: 0, retain: false, properties: {}, clientId: '', publisher: undefined, origin: undefined } as const
  return new Message({ topic: topicOfService(offer), payload, offer, expiresAt: undefined, ...rest })
}
