import type { DeviceId, TopicFilter, TopicName } from '#protocol'
import { depthBytes, LevelTree } from './level-tree.js'

/** What this file asks of a message. */
export interface Retainable {
  readonly topic: TopicName
  readonly payload: Uint8Array
  /** What it counts for: its payload and its properties. */
  readonly keptBytes: number
  /** Undefined: nobody's quota. */
  readonly publisher: DeviceId | undefined
  /** By `elapsed`; undefined for one that stays until another takes its place. */
  readonly expiresAt: number | undefined
}

/** Where retained messages survive the process. */
export interface RetainedStore<Message> {
  putRetained(message: Message): void
  deleteRetained(topic: TopicName): void
}

export interface RetainedOptions<Message> {
  readonly store: RetainedStore<Message>
  readonly limits: { readonly maxRetainedPerDevice: number; readonly maxRetainedBytesPerDevice: number }
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
}

/** How many expiring messages one sweep looks at; those behind them come next time, and nobody is given them meanwhile. */
const sweptAtOnce = 1000

/** The last message of each topic that its publisher asked to retain (MQTT 5.0 §3.3.1.3), within a quota per device. */
export class Retained<Message extends Retainable> {
  readonly #options: RetainedOptions<Message>
  readonly #byTopic = new LevelTree<Held<Message>>()
  readonly #ofDevice = new Map<DeviceId | undefined, Holdings>()
  /** Those that expire, in turn. */
  readonly #expiring = new Set<Held<Message>>()
  #sweeping = this.#expiring.values()
  #size = 0
  #bytes = 0
  /** Grows with every message held. */
  #order = 0

  constructor(options: RetainedOptions<Message>) {
    this.#options = options
  }

  /** Messages held, expired ones included until they are swept. */
  get size(): number {
    return this.#size
  }

  /** Of their payloads and properties. */
  get bytes(): number {
    return this.#bytes
  }

  /** Messages of one device; undefined: of the service itself. */
  sizeOf(publisher: DeviceId | undefined): number {
    return this.#ofDevice.get(publisher)?.topics.size ?? 0
  }

  get(topic: TopicName): Message | undefined {
    return this.#byTopic.get(topic)?.message
  }

  /** Takes in what is not to be stored, or has been. */
  restore(message: Message): void {
    this.release(message.topic)
    this.#hold(message)
  }

  /** Takes out what is not stored. Whether there was one. */
  release(topic: TopicName): boolean {
    const held = this.#byTopic.get(topic)
    if (!held) return false
    const { keptBytes, publisher } = held.message
    this.#byTopic.delete(topic)
    this.#expiring.delete(held)
    this.#size--
    this.#bytes -= keptBytes
    const holdings = this.#ofDevice.get(publisher)
    if (!holdings) return true
    holdings.topics.delete(topic)
    holdings.bytes -= held.cost
    if (holdings.topics.size === 0) this.#ofDevice.delete(publisher)
    return true
  }

  /** Whether the device may have this one retained; replacing its own message frees what that took. */
  hasRoom(publisher: DeviceId, topic: TopicName, keptBytes: number): boolean {
    if (keptBytes === 0) return true
    const { limits } = this.#options
    const used = this.#ofDevice.get(publisher)
    const old = this.#byTopic.get(topic)
    const own = old?.message.publisher === publisher ? old : undefined
    const count = (used?.topics.size ?? 0) + (own ? 0 : 1)
    const bytes = (used?.bytes ?? 0) - (own?.cost ?? 0) + keptBytes + depthBytes(topic)
    return count <= limits.maxRetainedPerDevice && bytes <= limits.maxRetainedBytesPerDevice
  }

  /**
   * Takes the place of the topic's message; an empty payload leaves the place empty [MQTT-3.3.1-6]. Whether there is
   * room was asked when the message was accepted, and what was accepted is kept: a device can exceed its quota by what
   * its connections may have waiting for the log, and not by more.
   */
  set(message: Message): void {
    const { store } = this.#options
    const released = this.release(message.topic)
    if (message.payload.length > 0) {
      this.#hold(message)
      store.putRetained(message)
    } else if (released) {
      store.deleteRetained(message.topic)
    }
  }

  /**
   * The messages that a new subscription gets. May be read over several turns: what is replaced, removed or expires
   * meanwhile is left out, and so is what comes meanwhile, for the subscription is there already and gets that live.
   */
  matching(filter: TopicFilter): Generator<Message, void, undefined> {
    return this.#matchingUpTo(this.#order, filter)
  }

  /** Takes out what a device published. Returns how many. */
  removeOf(publisher: DeviceId): number {
    const topics = [...(this.#ofDevice.get(publisher)?.topics ?? [])]
    for (const topic of topics) this.#remove(topic)
    return topics.length
  }

  /** Takes out messages whose time is over (MQTT 5.0 §3.3.2.3.3). Costs little, however many there are: call it often. */
  sweep(): void {
    const steps = Math.min(sweptAtOnce, this.#expiring.size + 1) // one more to begin anew
    for (let step = 0; step < steps; step++) {
      const { done, value: held } = this.#sweeping.next()
      if (done) this.#sweeping = this.#expiring.values()
      else if (this.#isExpired(held)) this.#remove(held.message.topic)
    }
  }

  *#matchingUpTo(order: number, filter: TopicFilter): Generator<Message, void, undefined> {
    for (const held of this.#byTopic.namesMatching(filter)) {
      if (held.order <= order && !this.#isExpired(held)) yield held.message
    }
  }

  #isExpired({ message: { expiresAt } }: Held<Message>): boolean {
    return expiresAt !== undefined && expiresAt <= this.#options.elapsed()
  }

  #remove(topic: TopicName): void {
    if (this.release(topic)) this.#options.store.deleteRetained(topic)
  }

  #hold(message: Message): void {
    const { topic, keptBytes, publisher, expiresAt } = message
    const held = { message, order: ++this.#order, cost: keptBytes + depthBytes(topic) }
    this.#byTopic.set(topic, held)
    if (expiresAt !== undefined) this.#expiring.add(held)
    this.#size++
    this.#bytes += keptBytes
    let holdings = this.#ofDevice.get(publisher)
    if (!holdings) this.#ofDevice.set(publisher, (holdings = { topics: new Set(), bytes: 0 }))
    holdings.topics.add(topic)
    holdings.bytes += held.cost
  }
}

interface Held<Message> {
  readonly message: Message
  readonly order: number
  /** What it takes of its publisher's quota: its bytes, and its levels where they are very many. */
  readonly cost: number
}

/** What one device has retained. */
interface Holdings {
  readonly topics: Set<TopicName>
  bytes: number
}
