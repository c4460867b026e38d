import type { TopicName } from '#protocol'
import type { Frame } from './frame.js'
import { malformed } from './refuse.js'
import { decodeText } from './text.js'
import { decodeTopicName } from './topics.js'

/** Reads a packet's body from front to back; past its end everything is malformed. */
export class PacketReader {
  readonly #bytes: Buffer
  readonly #end: number
  #at: number

  constructor({ bytes, start, end }: Frame) {
    this.#bytes = bytes
    this.#end = end
    this.#at = start
  }

  get left(): number {
    return this.#end - this.#at
  }

  byte(): number {
    return this.#bytes[this.#take(1)] ?? 0
  }

  uint16(): number {
    const at = this.#take(2)
    return ((this.#bytes[at] ?? 0) << 8) | (this.#bytes[at + 1] ?? 0)
  }

  uint32(): number {
    return this.uint16() * 0x10000 + this.uint16()
  }

  /** MQTT 5.0 §1.5.5 */
  variableInteger(): number {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const digit = this.byte()
      value |= (digit & 0x7f) << shift
      if (digit >= 0x80) continue
      if (digit === 0 && shift > 0) throw malformed('a variable byte integer with a needless byte') // [MQTT-1.5.5-1]
      return value
    }
    throw malformed('a variable byte integer of over four bytes')
  }

  packetId(): number {
    const id = this.uint16()
    if (id === 0) throw malformed('packet identifier 0') // [MQTT-2.2.1-3]; in MQTT 3.1.1 [MQTT-2.3.1-1]
    return id
  }

  text(): string {
    const length = this.uint16()
    const start = this.#take(length)
    return decodeText(this.#bytes, start, this.#at)
  }

  /** Undefined when it is empty, which means something in MQTT 5 only. @throws BrokerError INVALID_TOPIC, too */
  topicName(): TopicName | undefined {
    const length = this.uint16()
    if (length === 0) return undefined
    const start = this.#take(length)
    return decodeTopicName(this.#bytes, start, this.#at)
  }

  /** A view, not a copy. */
  binary(): Buffer {
    const length = this.uint16()
    const start = this.#take(length)
    return this.#bytes.subarray(start, this.#at)
  }

  /** A view of everything that is left. */
  rest(): Buffer {
    const start = this.#take(this.left)
    return this.#bytes.subarray(start, this.#end)
  }

  end(): void {
    if (this.left > 0) throw malformed('bytes behind the end of the packet')
  }

  /** Goes on by so many bytes and returns where they begin. */
  #take(length: number): number {
    const start = this.#at
    if (length > this.#end - start) throw malformed('a field reaches past the end of its packet')
    this.#at = start + length
    return start
  }
}
