import { Client } from '../load/client.js'
import { packetTypes, publishFrame } from '../load/frames.js'
import { collector, type Credentials, deviceName, telemetryFilter, telemetryTopic } from '../fleet.js'

const victim = deviceName(0)
const everyMilliseconds = 5

export interface Latencies {
  /** From PUBLISH written to PUBLISH read by the other, in milliseconds; sorted. */
  readonly sorted: readonly number[]
  /** Acknowledged, and not heard within two seconds after the last. */
  readonly lost: number
}

/** Two well-behaved neighbours: one says something at QoS 1 every few milliseconds, the other hears it. */
export class Pair {
  readonly #speaker: Client
  readonly #listener: Client
  #sentAt = new Map<number, number>()
  #acknowledged = new Set<number>()
  #latencies: number[] = []
  #next = 0
  readonly #others = new Map<string, number>()
  #settling: { readonly id: number; readonly resolve: () => void } | undefined

  private constructor(speaker: Client, listener: Client) {
    this.#speaker = speaker
    this.#listener = listener
    speaker.onFrame = (header, bytes, start) => {
      if (header >> 4 === packetTypes.puback) this.#acknowledged.add(bytes.readUInt16BE(start))
    }
    listener.onFrame = (header, bytes, start, end) => {
      if (header >> 4 !== packetTypes.publish) return
      const topic = bytes.toString('latin1', start + 2, start + 2 + bytes.readUInt16BE(start))
      if (topic === telemetryTopic(victim)) this.#hear(bytes.readUInt16BE(end - 2))
      else this.#others.set(topic, this.heardFrom(topic) + 1)
    }
  }

  static async connect(fleet: Credentials, port: number): Promise<Pair> {
    const listener = await Client.connect(fleet, port, collector)
    await listener.subscribe(telemetryFilter, 0)
    return new Pair(await Client.connect(fleet, port, victim), listener)
  }

  async measure(seconds: number): Promise<Latencies> {
    this.#sentAt.clear()
    this.#acknowledged.clear()
    this.#latencies = []
    const speaking = setInterval(() => this.#say(), everyMilliseconds)
    await pass(seconds * 1000)
    clearInterval(speaking)
    for (let waited = 0; waited < 20 && this.#sentAt.size > 0; waited++) await pass(100)
    const lost = [...this.#sentAt.keys()].filter((id) => this.#acknowledged.has(id)).length
    return { sorted: [...this.#latencies].sort((one, other) => one - other), lost }
  }

  /** How often the listener has heard somebody else. */
  heardFrom(topic: string): number {
    return this.#others.get(topic) ?? 0
  }

  /** Resolves when the listener has read all that was on its way to it: what is said now comes behind that. */
  async settle(): Promise<void> {
    this.#say()
    await new Promise<void>((resolve) => (this.#settling = { id: this.#next, resolve }))
  }

  async leave(): Promise<void> {
    await this.#speaker.leave()
    await this.#listener.leave()
  }

  #say(): void {
    this.#next = (this.#next % 0xffff) + 1
    const payload = Buffer.from([this.#next >> 8, this.#next & 255])
    this.#sentAt.set(this.#next, performance.now())
    this.#speaker.socket.write(publishFrame(telemetryTopic(victim), { qos: 1, packetId: this.#next }, payload))
  }

  #hear(id: number): void {
    if (this.#settling?.id === id) this.#settling.resolve()
    const sentAt = this.#sentAt.get(id)
    if (sentAt === undefined) return
    this.#sentAt.delete(id)
    this.#latencies.push(performance.now() - sentAt)
  }
}

async function pass(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
}
