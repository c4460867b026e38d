import { BrokerError } from './errors.js'
import type { BrokerLimits } from './limits.js'
import type { Session } from './session.js'

/** Whoever reads what a connection sends. */
interface Reading {
  hold(): void
  release(): void
}

/** What a connection has sent and is not answered for. Too much of it, and its socket is not read. */
export class Backlog {
  readonly #limits: BrokerLimits
  readonly #reading: Reading
  #count = 0
  #bytes = 0
  #full = false
  #receiving = 0

  constructor(limits: BrokerLimits, reading: Reading) {
    this.#limits = limits
    this.#reading = reading
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** A packet waits for what it promises to be durable; one of many entries counts like as many packets. */
  begin(bytes: number, count = 1): void {
    this.#count += count
    this.#bytes += bytes
    const { maxWaiting, maxWaitingBytes } = this.#limits
    if (this.#full || (this.#count < maxWaiting && this.#bytes < maxWaitingBytes)) return
    this.#full = true
    this.#reading.hold()
  }

  end(bytes: number, count = 1): void {
    this.#count -= count
    this.#bytes -= bytes
    const { maxWaiting, maxWaitingBytes } = this.#limits
    if (!this.#full || this.#count > maxWaiting / 2 || this.#bytes > maxWaitingBytes / 2) return
    this.#full = false
    this.#reading.release()
  }

  /**
   * A QoS 1 or 2 message begins to be received; {@link endReceive} when PUBACK, PUBCOMP or a refusal has gone out.
   * @throws BrokerError RECEIVE_MAXIMUM_EXCEEDED (MQTT 5.0 §3.3.4)
   */
  beginReceive({ received }: Session): void {
    this.#receiving++
    const { maxReceived } = this.#limits
    if (this.#receiving <= maxReceived && received.size < maxReceived) return
    throw new BrokerError('RECEIVE_MAXIMUM_EXCEEDED', `over ${maxReceived} messages that are not acknowledged`)
  }

  endReceive(): void {
    if (this.#receiving > 0) this.#receiving--
  }
}
