import { deviceName, type Fleet, telemetryTopic } from '../fleet.js'
import { Client } from '../load/client.js'
import { answerFrame, packetTypes, type ProtocolLevel, publishFrame } from '../load/frames.js'

/** So many messages of one device may be without their answer; then it holds back, as a real client does. */
const mostUnanswered = 500
const payloadBytes = 64

/** A device that speaks all the time, and numbers what it says. */
export class SteadyPublisher {
  readonly qos: 0 | 1 | 2
  readonly client: Client
  /** The number of its next message. */
  next = 0
  readonly #frame: Buffer
  readonly #packetIdAt: number
  readonly #unanswered = new Set<number>()
  #packetId = 0

  private constructor(client: Client, index: number, qos: 0 | 1 | 2) {
    this.client = client
    this.qos = qos
    const topic = telemetryTopic(deviceName(index))
    const payload = Buffer.alloc(payloadBytes, 'x')
    payload.writeUInt16BE(index, 0)
    this.#frame = publishFrame(topic, { qos, packetId: 1, level: client.level }, payload)
    this.#packetIdAt = 2 + 2 + topic.length // a header of two bytes: these packets are shorter than 128
    client.onFrame = (header, bytes, start, end) => {
      this.#answered(header >> 4, bytes.readUInt16BE(start), end - start > 2 ? (bytes[start + 2] ?? 0) : 0)
    }
  }

  static async connect(
    fleet: Fleet,
    port: number,
    { index, qos, level }: { readonly index: number; readonly qos: 0 | 1 | 2; readonly level: ProtocolLevel },
  ): Promise<SteadyPublisher> {
    return new SteadyPublisher(await Client.connect(fleet, port, deviceName(index), { level }), index, qos)
  }

  get unanswered(): number {
    return this.#unanswered.size
  }

  /** Sends so many, with one write; fewer when too many wait for their answer. Returns how many. */
  send(count: number): number {
    const room = Math.max(0, Math.min(count, mostUnanswered - this.#unanswered.size))
    if (room === 0) return 0
    const batch = Buffer.alloc(room * this.#frame.length)
    for (let index = 0; index < room; index++) this.#write(batch, index * this.#frame.length)
    this.client.socket.write(batch)
    return room
  }

  #write(batch: Buffer, at: number): void {
    this.#frame.copy(batch, at)
    batch.writeUInt32BE(this.next++, at + this.#frame.length - payloadBytes + 2)
    if (this.qos === 0) return
    do this.#packetId = (this.#packetId % 0xffff) + 1
    while (this.#unanswered.has(this.#packetId))
    this.#unanswered.add(this.#packetId)
    batch.writeUInt16BE(this.#packetId, at + this.#packetIdAt)
  }

  #answered(type: number, packetId: number, reason: number): void {
    if (reason >= 0x80) this.client.onEnd(new Error(`a publish was answered with ${reason}`))
    if (type === packetTypes.pubrec) this.client.socket.write(answerFrame(packetTypes.pubrel, packetId))
    else this.#unanswered.delete(packetId)
  }
}

/** Reads whose message it is, and which. */
export function readStamp(bytes: Buffer, end: number): { readonly publisher: number; readonly number: number } {
  const payload = end - payloadBytes
  return { publisher: bytes.readUInt16BE(payload), number: bytes.readUInt32BE(payload + 2) }
}
