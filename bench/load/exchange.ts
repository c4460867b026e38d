import { createHistogram } from 'node:perf_hooks'
import type { Load } from '../cases.js'
import {
  collector,
  commandFilter,
  commandTopic,
  controller,
  deviceName,
  type Fleet,
  telemetryFilter,
  telemetryTopic,
} from '../fleet.js'
import { Client } from './client.js'
import { packetTypes, publishFrame, writePuback } from './frames.js'
import { Publisher } from './publisher.js'

export type ExchangeLoad = Extract<Load, { kind: 'exchange' }>

const payloadBytes = 64

/**
 * Publishers and subscribers of one broker. A message is done once it was delivered to every subscriber and, at QoS 1,
 * acknowledged; only then its publisher sends another in its place. So no queue grows anywhere, and a message that is
 * lost or comes twice is noticed.
 */
export class Exchange {
  published = 0
  delivered = 0
  /** Microseconds from sending a message until it is done. */
  readonly latency = createHistogram()
  /** Rejects when anything goes wrong, and never resolves. */
  readonly failure: Promise<never>
  readonly #load: ExchangeLoad
  readonly #publishers: Publisher[] = []
  readonly #subscribers: Client[] = []
  #fail: (error: Error) => void = () => undefined

  private constructor(load: ExchangeLoad) {
    this.#load = load
    this.failure = new Promise((_, reject) => (this.#fail = reject))
    this.failure.catch(() => undefined) // until somebody waits for it
  }

  /** Everyone is connected and subscribed when it resolves. */
  static async open(fleet: Fleet, port: number, load: ExchangeLoad): Promise<Exchange> {
    const exchange = new Exchange(load)
    const isFanIn = load.publishers > load.subscribers
    for (let index = 0; index < load.subscribers; index++) {
      const client = await Client.connect(fleet, port, isFanIn ? collector : deviceName(index))
      await client.subscribe(isFanIn ? telemetryFilter : commandFilter, load.qos)
      exchange.#hear(client)
    }
    for (let index = 0; index < load.publishers; index++) {
      const name = isFanIn ? deviceName(index) : controller
      exchange.#speak(await Client.connect(fleet, port, name), isFanIn ? telemetryTopic(name) : commandTopic)
    }
    return exchange
  }

  start(): void {
    for (const publisher of this.#publishers) publisher.sendSoon()
  }

  /** Resolves when every message that was sent is done, and all have left. */
  async stop(): Promise<void> {
    await Promise.all(this.#publishers.map((publisher) => publisher.idle()))
    const clients = [...this.#publishers.map(({ client }) => client), ...this.#subscribers]
    await Promise.all(clients.map((client) => client.leave()))
  }

  #speak(client: Client, topic: string): void {
    const { qos, window, subscribers } = this.#load
    const index = this.#publishers.length
    const frames = Array.from({ length: window }, (_, slot) =>
      publishFrame(topic, { qos, packetId: slot + 1 }, payloadOf(index, slot)),
    )
    const publisher = new Publisher(client, frames, subscribers + qos, {
      sent: (count) => (this.published += count),
      done: (milliseconds) => this.latency.record(Math.max(1, Math.round(milliseconds * 1000))),
    })
    client.onEnd = this.#fail
    client.onFrame = (header, bytes, start) => {
      if (header >> 4 !== packetTypes.puback) this.#fail(new Error(`a publisher got a packet of type ${header >> 4}`))
      else this.#step(publisher, bytes.readUInt16BE(start) - 1)
    }
    this.#publishers.push(publisher)
  }

  #hear(client: Client): void {
    const acknowledge = acknowledger(client, this.#load.publishers * this.#load.window)
    client.onEnd = this.#fail
    client.onFrame = (header, bytes, start, end) => {
      if (header >> 4 !== packetTypes.publish) return this.#fail(new Error(`a subscriber got a ${header >> 4}`))
      this.delivered++
      if (header & 0x06) acknowledge(bytes.readUInt16BE(start + 2 + bytes.readUInt16BE(start)))
      const payload = end - payloadBytes
      const publisher = this.#publishers[bytes.readUInt16BE(payload)]
      if (publisher) this.#step(publisher, bytes.readUInt16BE(payload + 2))
    }
    this.#subscribers.push(client)
  }

  #step(publisher: Publisher, slot: number): void {
    if (!publisher.step(slot)) this.#fail(new Error('a message was delivered or acknowledged twice'))
  }
}

/** Says whose message it is, and which. */
function payloadOf(publisher: number, slot: number): Buffer {
  const payload = Buffer.alloc(payloadBytes, 'x')
  payload.writeUInt16BE(publisher, 0)
  payload.writeUInt16BE(slot, 2)
  return payload
}

/** Sends the PUBACKs of one loop turn with one write. */
function acknowledger(client: Client, most: number): (packetId: number) => void {
  let acks = Buffer.allocUnsafe(most * 4)
  let used = 0
  const send = (): void => {
    client.socket.write(acks.subarray(0, used))
    acks = Buffer.allocUnsafe(most * 4) // the socket may still hold the one before
    used = 0
  }
  return (packetId) => {
    if (used === 0) setImmediate(send)
    if (used < acks.length) used = writePuback(acks, used, packetId)
  }
}
