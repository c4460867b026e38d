import { type DeviceId, filterMatches, type TopicFilter, topicLevels, type TopicName } from '#protocol'
import type { BrokerLimits } from './limits.js'
import type { Message } from './message.js'
import type { SessionStore } from './session-store.js'

/** The last message of each topic that its publisher asked to retain (MQTT 3.1.1 §3.3.1.3), within a quota per device. */
export class Retained {
  readonly #store: SessionStore
  readonly #limits: BrokerLimits
  readonly #byTopic = new Map<TopicName, { readonly message: Message; readonly levels: readonly string[] }>()
  readonly #used = new Map<DeviceId, { count: number; bytes: number }>()

  constructor(store: SessionStore, limits: BrokerLimits) {
    this.#store = store
    this.#limits = limits
  }

  get size(): number {
    return this.#byTopic.size
  }

  restore(message: Message): void {
    this.#hold(message)
  }

  /** Whether the device may have this one retained; replacing its own message frees what that took. */
  hasRoom(publisher: DeviceId, topic: TopicName, payloadBytes: number): boolean {
    if (payloadBytes === 0) return true
    const used = this.#used.get(publisher) ?? { count: 0, bytes: 0 }
    const old = this.#byTopic.get(topic)?.message
    const own = old?.publisher === publisher ? old : undefined
    const count = used.count + (own ? 0 : 1)
    const bytes = used.bytes - (own?.payload.length ?? 0) + payloadBytes
    return count <= this.#limits.maxRetainedPerDevice && bytes <= this.#limits.maxRetainedBytesPerDevice
  }

  /**
   * Takes the place of the topic's message; an empty payload leaves the place empty [MQTT-3.3.1-10]. Whether there is
   * room was asked when the message was accepted, and what was accepted is kept: a device can exceed its quota by what
   * its connections may have waiting for the log, and not by more.
   */
  set(message: Message): void {
    this.#release(message.topic)
    if (message.payload.length === 0) {
      this.#store.deleteRetained(message.topic)
    } else {
      this.#hold(message)
      this.#store.putRetained(message)
    }
  }

  *matching(filter: TopicFilter): Iterable<Message> {
    const levels = topicLevels(filter)
    for (const entry of this.#byTopic.values()) if (filterMatches(levels, entry.levels)) yield entry.message
  }

  /** Takes out what a device published. Returns how many. */
  removeOf(publisher: DeviceId): number {
    const topics = [...this.#byTopic.values()]
      .filter(({ message }) => message.publisher === publisher)
      .map(({ message }) => message.topic)
    for (const topic of topics) {
      this.#release(topic)
      this.#store.deleteRetained(topic)
    }
    return topics.length
  }

  #hold(message: Message): void {
    this.#byTopic.set(message.topic, { message, levels: topicLevels(message.topic) })
    const used = this.#used.get(message.publisher) ?? { count: 0, bytes: 0 }
    this.#used.set(message.publisher, { count: used.count + 1, bytes: used.bytes + message.payload.length })
  }

  #release(topic: TopicName): void {
    const message = this.#byTopic.get(topic)?.message
    if (!message) return
    this.#byTopic.delete(topic)
    const used = this.#used.get(message.publisher)
    if (!used) return
    used.count--
    used.bytes -= message.payload.length
    if (used.count === 0) this.#used.delete(message.publisher)
  }
}
