import { LazyMap } from './lazy-map.js'
import type { Held, Outgoing } from './queue.js'
import type { Publishers } from './speaker.js'

/** QoS 1 and 2 messages that were sent and not acknowledged, by packet identifier, in the order they were sent. */
export class Inflight {
  readonly #held: Held
  readonly #sent = new LazyMap<number, Outgoing>()
  #lastId = 0
  #bytes = 0

  constructor(held: Held) {
    this.#held = held
  }

  get size(): number {
    return this.#sent.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get(packetId: number): Outgoing | undefined {
    return this.#sent.get(packetId)
  }

  /** Gives the message a packet identifier that is not in use (MQTT 5.0 §2.2.1). */
  add(outgoing: Outgoing): number {
    do this.#lastId = this.#lastId === 0xffff ? 1 : this.#lastId + 1
    while (this.#sent.has(this.#lastId))
    outgoing.packetId = this.#lastId
    this.#hold(this.#lastId, outgoing)
    return this.#lastId
  }

  /** Takes back a message that was in flight when the service ended. */
  restore(outgoing: Outgoing, packetId: number): void {
    outgoing.message.keep()
    this.remove(packetId)
    this.#hold(packetId, outgoing)
    this.#lastId = packetId
  }

  /** The client has gone, so these may wait for long. */
  keep(): void {
    for (const { message } of this.#sent.values()) message.keep()
  }

  /** The client is done with it, or never gets it. */
  remove(packetId: number): void {
    const outgoing = this.#sent.get(packetId)
    if (!outgoing) return
    this.#sent.delete(packetId)
    this.#count(-outgoing.message.bytes)
  }

  /** Its session is gone. */
  clear(): void {
    this.#sent.clear()
    this.#count(-this.#bytes)
  }

  /** What was released is left out: the client has the message, and only its identifier is still to be let go. */
  of(publishers: Publishers): readonly Outgoing[] {
    return [...this.#sent.values()].filter(({ message: { publisher }, released }) => {
      return publisher !== undefined && publishers.has(publisher) && !released
    })
  }

  [Symbol.iterator](): Iterator<Outgoing> {
    return this.#sent.values()[Symbol.iterator]()
  }

  #hold(packetId: number, outgoing: Outgoing): void {
    this.#sent.set(packetId, outgoing)
    this.#count(outgoing.message.bytes)
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    this.#held.bytes += bytes
  }
}
