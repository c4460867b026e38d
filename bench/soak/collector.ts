import { collector, type Fleet, telemetryFilter } from '../fleet.js'
import { Client } from '../load/client.js'
import { answerFrame, packetTypes, type ProtocolLevel } from '../load/frames.js'
import { readStamp, type SteadyPublisher } from './steady.js'

/** Hears everything, and notices what is missing, twice there, or out of order. */
export class Collector {
  received = 0
  /** QoS 0 messages that were never delivered: allowed, and counted. */
  skipped = 0
  readonly client: Client
  readonly #publishers: readonly SteadyPublisher[]
  readonly #next: number[]
  readonly #fail: (error: Error) => void
  #answers: Buffer[] = []

  private constructor(client: Client, publishers: readonly SteadyPublisher[], fail: (error: Error) => void) {
    this.client = client
    this.#publishers = publishers
    this.#next = publishers.map(() => 0)
    this.#fail = fail
    client.onEnd = fail
    client.onFrame = (header, bytes, start, end) => {
      if (header >> 4 === packetTypes.publish) this.#hear(header, bytes, start, end)
      else this.#answer(packetTypes.pubcomp, bytes.readUInt16BE(start))
    }
  }

  static async connect(
    fleet: Fleet,
    port: number,
    publishers: readonly SteadyPublisher[],
    { level, qos, fail }: { readonly level: ProtocolLevel; readonly qos: 1 | 2; readonly fail: (error: Error) => void },
  ): Promise<Collector> {
    const client = await Client.connect(fleet, port, collector, { level, sessionExpirySeconds: 3600 })
    const heard = new Collector(client, publishers, fail)
    await client.subscribe(telemetryFilter, qos)
    return heard
  }

  /** Whether everything that must arrive has arrived. */
  get complete(): boolean {
    return this.#publishers.every(({ qos, next }, index) => qos === 0 || this.#next[index] === next)
  }

  #hear(header: number, bytes: Buffer, start: number, end: number): void {
    this.received++
    const qos = (header >> 1) & 3
    if (qos > 0) {
      const packetId = bytes.readUInt16BE(start + 2 + bytes.readUInt16BE(start))
      this.#answer(qos === 1 ? packetTypes.puback : packetTypes.pubrec, packetId)
    }
    const { publisher, number } = readStamp(bytes, end)
    const expected = this.#next[publisher] ?? 0
    this.#next[publisher] = number + 1
    if (number === expected) return
    if (number > expected && this.#publishers[publisher]?.qos === 0) this.skipped += number - expected
    else this.#fail(new Error(`device ${publisher}: expected its message ${expected}, got ${number}`))
  }

  #answer(type: number, packetId: number): void {
    if (this.#answers.length === 0) setImmediate(() => this.#flush())
    this.#answers.push(answerFrame(type, packetId))
  }

  #flush(): void {
    this.client.socket.write(Buffer.concat(this.#answers))
    this.#answers = []
  }
}
