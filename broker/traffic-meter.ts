import type { MqttVersion, Traffic, Transport } from '#protocol'
import type { Statistics } from './statistics.js'
import type { Qos } from './wire/packet.js'

/** Rates are those of the last one or two such spans. */
const spanMilliseconds = 5_000

interface Mark {
  readonly at: number
  readonly in: number
  readonly out: number
}

/** Counts what one connection says and hears: for itself, and for the sum of all. */
export class TrafficMeter {
  readonly #total: Statistics
  #messagesIn = 0
  #messagesOut = 0
  #bytesIn = 0
  #bytesOut = 0
  #older: Mark
  #newer: Mark

  constructor(total: Statistics, now: number) {
    this.#total = total
    this.#older = this.#newer = { at: now, in: 0, out: 0 }
  }

  /** CONNACK with success. */
  accepted(protocol: MqttVersion, transport: Transport): void {
    this.#total.connects[protocol][transport]++
  }

  read(bytes: number): void {
    this.#bytesIn += bytes
    this.#total.bytesIn += bytes
  }

  wrote(bytes: number): void {
    this.#bytesOut += bytes
    this.#total.bytesOut += bytes
  }

  /** A PUBLISH came, whatever becomes of it. */
  received(qos: Qos): void {
    this.#messagesIn++
    this.#total.messagesIn[qos]++
  }

  /** A PUBLISH is on its way. */
  sent(qos: Qos): void {
    this.#messagesOut++
    this.#total.messagesOut[qos]++
  }

  get messages(): Traffic {
    return { in: this.#messagesIn, out: this.#messagesOut }
  }

  get bytes(): Traffic {
    return { in: this.#bytesIn, out: this.#bytesOut }
  }

  /** Called every now and then; without it, rates are means since the beginning. */
  mark(now: number): void {
    if (now - this.#newer.at < spanMilliseconds) return
    this.#older = this.#newer
    this.#newer = { at: now, in: this.#messagesIn, out: this.#messagesOut }
  }

  /** Messages a second. A connection's first second counts as a whole one. */
  rates(now: number): Traffic {
    const seconds = Math.max((now - this.#older.at) / 1000, 1)
    return { in: (this.#messagesIn - this.#older.in) / seconds, out: (this.#messagesOut - this.#older.out) / seconds }
  }
}
