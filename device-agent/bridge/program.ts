import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from 'aedes'
import type { BridgeLimits } from './limits.js'
import type { Sender } from './queue.js'
import { Throttle } from './throttle.js'

/** What a program hears. */
export interface Delivery {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1
  readonly retain: boolean
}

/** One connection of a program on the device. */
export class Program implements Sender {
  readonly #client: Client
  readonly #socket: Socket
  readonly #maxUnreadBytes: number
  readonly #throttle: Throttle
  #unreadBytes = 0
  #isDismissed = false
  isGone = false

  constructor(client: Client, socket: Socket, limits: Pick<BridgeLimits, 'maxUnreadBytes' | 'maxHeardPerSecond'>) {
    this.#client = client
    this.#socket = socket
    this.#maxUnreadBytes = limits.maxUnreadBytes
    this.#throttle = new Throttle(limits.maxHeardPerSecond)
  }

  /** Its client id; what it says of itself, no more. */
  get name(): string {
    return this.#client.id
  }

  /** One that does not read loses what it would not miss (QoS 0), or else its connection: the others wait for nobody. */
  hand({ topic, payload, qos, retain }: Delivery): void {
    if (this.isGone) return
    const bytes = payload.length + Buffer.byteLength(topic)
    if (this.#unreadBytes + bytes > this.#maxUnreadBytes) {
      if (qos === 1) this.end()
      return
    }
    this.#unreadBytes += bytes
    this.#client.publish({ cmd: 'publish', topic, payload, qos, retain, dup: false }, () => {
      this.#unreadBytes -= bytes
      if (this.#isDismissed && this.#unreadBytes === 0) this.end()
    })
  }

  /** Resolves when it may say more. Nothing is read of it before: aedes reads on when all that it has read is dealt with. */
  async turn(): Promise<void> {
    const wait = this.#throttle.take()
    if (wait > 0) await delay(wait, undefined, { ref: false })
  }

  /** Ends it when it has what it was handed. */
  dismiss(): void {
    this.#isDismissed = true
    if (this.#unreadBytes === 0) this.end()
  }

  /** The only no that MQTT 3.1.1 has for whoever is connected (§4.8). */
  end(): void {
    this.#socket.destroy()
  }
}
