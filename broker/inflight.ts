import type { DeviceId } from '#protocol'
import type { Outgoing } from './queue.js'

/** QoS 1 and 2 messages that were sent and not acknowledged, by packet identifier, in the order they were sent. */
export class Inflight {
  readonly #sent = new Map<number, Outgoing>()
  #lastId = 0

  get size(): number {
    return this.#sent.size
  }

  get(packetId: number): Outgoing | undefined {
    return this.#sent.get(packetId)
  }

  /** Gives the message a packet identifier that is not in use (MQTT 5.0 §2.2.1). */
  add(outgoing: Outgoing): number {
    do this.#lastId = this.#lastId === 0xffff ? 1 : this.#lastId + 1
    while (this.#sent.has(this.#lastId))
    outgoing.packetId = this.#lastId
    this.#sent.set(this.#lastId, outgoing)
    return this.#lastId
  }

  /** Takes back a message that was in flight when the service ended. */
  restore(outgoing: Outgoing, packetId: number): void {
    outgoing.message.keep()
    this.#sent.set(packetId, outgoing)
    this.#lastId = packetId
  }

  /** The client has gone, so these may wait for long. */
  keep(): void {
    for (const { message } of this.#sent.values()) message.keep()
  }

  /** The client is done with it, or never gets it. */
  remove(packetId: number): void {
    this.#sent.delete(packetId)
  }

  /** What was released is left out: the client has the message, and only its identifier is still to be let go. */
  of(publisher: DeviceId): readonly Outgoing[] {
    return [...this.#sent.values()].filter((one) => one.message.publisher === publisher && !one.released)
  }

  [Symbol.iterator](): Iterator<Outgoing> {
    return this.#sent.values()
  }
}
