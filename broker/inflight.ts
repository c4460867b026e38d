import type { DeviceId } from '#protocol'
import type { Outgoing } from './queue.js'

/** QoS 1 messages that were sent and not acknowledged, by packet identifier, in the order they were sent. */
export class Inflight {
  readonly #sent = new Map<number, Outgoing>()
  #lastId = 0

  get size(): number {
    return this.#sent.size
  }

  /** Gives the message a packet identifier that is not in use (MQTT 3.1.1 §2.3.1). */
  add(outgoing: Outgoing): number {
    do this.#lastId = this.#lastId === 0xffff ? 1 : this.#lastId + 1
    while (this.#sent.has(this.#lastId))
    outgoing.packetId = this.#lastId
    this.#sent.set(this.#lastId, outgoing)
    return this.#lastId
  }

  /** Takes back a message that was in flight when the service ended. */
  restore(outgoing: Outgoing, packetId: number): void {
    this.#sent.set(packetId, outgoing)
    this.#lastId = packetId
  }

  acknowledge(packetId: number): Outgoing | undefined {
    const outgoing = this.#sent.get(packetId)
    if (outgoing) this.#sent.delete(packetId)
    return outgoing
  }

  removeOf(publisher: DeviceId): readonly Outgoing[] {
    const removed = [...this.#sent.values()].filter(({ message }) => message.publisher === publisher)
    for (const { packetId } of removed) if (packetId !== undefined) this.#sent.delete(packetId)
    return removed
  }

  [Symbol.iterator](): Iterator<Outgoing> {
    return this.#sent.values()
  }
}
