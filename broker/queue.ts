import type { DeviceId } from '#protocol'
import type { Message } from './message.js'

/** A QoS 1 message on its way to one session. */
export interface Outgoing {
  readonly message: Message
  /** Its place among all that were ever meant for the session; names it in the store. */
  readonly order: number
  /** Sent because it was retained, not because it was published just now (MQTT 3.1.1 §3.3.1.3). */
  readonly retained: boolean
  /** The packet identifier that it was sent with, if it was; it is sent again with the same one. */
  packetId: number | undefined
}

/** Messages that wait for a session to take them, oldest first. Knows its size; its owner keeps the bounds. */
export class Queue {
  #items: Outgoing[] = []
  #head = 0
  #bytes = 0

  get size(): number {
    return this.#items.length - this.#head
  }

  get bytes(): number {
    return this.#bytes
  }

  push(item: Outgoing): void {
    this.#items.push(item)
    this.#bytes += item.message.bytes
  }

  shift(): Outgoing | undefined {
    const item = this.#items[this.#head]
    if (!item) return undefined
    this.#head++
    this.#bytes -= item.message.bytes
    if (this.#head > 64 && this.#head * 2 > this.#items.length) this.#compact()
    return item
  }

  /** Takes out what a device published and returns it. */
  removeOf(publisher: DeviceId): readonly Outgoing[] {
    this.#compact()
    const removed = this.#items.filter(({ message }) => message.publisher === publisher)
    if (removed.length > 0) this.#items = this.#items.filter(({ message }) => message.publisher !== publisher)
    for (const { message } of removed) this.#bytes -= message.bytes
    return removed
  }

  /** All that waits, oldest first. */
  *[Symbol.iterator](): Iterator<Outgoing> {
    for (let at = this.#head; at < this.#items.length; at++) {
      const item = this.#items[at]
      if (item) yield item
    }
  }

  #compact(): void {
    this.#items = this.#items.slice(this.#head)
    this.#head = 0
  }
}
