import type { Message } from './message.js'
import type { Publishers } from './speaker.js'

/** A QoS 1 or 2 message on its way to one session. */
export interface Outgoing {
  readonly message: Message
  /** Its place among all that were ever meant for the session; names it in the store. */
  readonly order: number
  /** When it began to wait, in milliseconds by the clock that nobody sets. */
  readonly since: number
  /** The RETAIN flag that it is sent with. */
  readonly retain: boolean
  /** Of the subscriptions that brought it here. */
  readonly identifiers: readonly number[]
  /** As granted; what it was first sent with stays. */
  qos: 1 | 2
  /** The packet identifier that it was sent with, if it was; it is sent again with the same one. */
  packetId: number | undefined
  /** The client has answered PUBREC: from then on PUBREL is repeated and the message is not (MQTT 5.0 §4.3.3). */
  released: boolean
  /**
   * How far it is on this connection: not yet; within the client's window; handed to its socket; that and then taken
   * back from everywhere else, so that only its identifier is waited for; or sent on an earlier connection, kept from
   * this one, and outside its window, because the client can still hold the identifier.
   */
  stage: 'waiting' | 'begun' | 'handed' | 'withdrawn' | 'withheld'
}

/**
 * What all sessions together keep of messages: each message counts for each session that it is kept for. All queues and
 * windows of a broker keep the same one up to date.
 */
export interface Held {
  bytes: number
}

/** Messages that wait for a session to take them, oldest first. Knows its size; its owner keeps the bounds. */
export class Queue {
  readonly #held: Held
  #items: Outgoing[] = []
  #head = 0
  #bytes = 0
  /** How many of them can expire. */
  #mortal = 0

  constructor(held: Held) {
    this.#held = held
  }

  get size(): number {
    return this.#items.length - this.#head
  }

  get bytes(): number {
    return this.#bytes
  }

  /** When the oldest began to wait. */
  get oldest(): number | undefined {
    return this.#items[this.#head]?.since
  }

  push(item: Outgoing): void {
    item.message.keep()
    this.#items.push(item)
    const { bytes } = item.message
    this.#bytes += bytes
    this.#held.bytes += bytes
    if (item.message.expiresAt !== undefined) this.#mortal++
  }

  shift(): Outgoing | undefined {
    const item = this.#items[this.#head]
    if (!item) return undefined
    this.#head++
    this.#left(item)
    if (this.#head > 64 && this.#head * 2 > this.#items.length) this.#compact()
    return item
  }

  /** Takes out what these devices published and returns it. */
  removeOf(publishers: Publishers): readonly Outgoing[] {
    return this.#remove(({ message: { publisher } }) => publisher !== undefined && publishers.has(publisher))
  }

  /** Takes out what has expired and returns it. Asked often, and of queues in which mostly nothing can. */
  removeExpired(moment: number): readonly Outgoing[] {
    if (this.#mortal === 0) return []
    return this.#remove(({ message }) => message.isExpired(moment))
  }

  /** Its session is gone. */
  clear(): void {
    this.#remove(() => true)
  }

  /** All that waits, oldest first. */
  *[Symbol.iterator](): Iterator<Outgoing> {
    for (let at = this.#head; at < this.#items.length; at++) {
      const item = this.#items[at]
      if (item) yield item
    }
  }

  #remove(goes: (item: Outgoing) => boolean): readonly Outgoing[] {
    this.#compact()
    const removed = this.#items.filter(goes)
    if (removed.length > 0) this.#items = this.#items.filter((item) => !goes(item))
    for (const item of removed) this.#left(item)
    return removed
  }

  #left({ message }: Outgoing): void {
    const { bytes } = message
    this.#bytes -= bytes
    this.#held.bytes -= bytes
    if (message.expiresAt !== undefined) this.#mortal--
  }

  #compact(): void {
    this.#items = this.#items.slice(this.#head)
    this.#head = 0
  }
}
