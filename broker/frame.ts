import { BrokerError } from './errors.js'
import { packetTypes } from './packet.js'

/** One packet as the wire carries it; `body` is a view of what was received. */
export interface Frame {
  readonly type: number
  readonly flags: number
  readonly body: Buffer
}

/**
 * Cuts a stream of bytes into frames. A header is judged as soon as it is there: a packet of a kind that a client must
 * not send, or one that is announced above the limit, is refused before any of its body is kept.
 */
export class FrameReader {
  /** The largest packet from now on, header included. */
  maxBytes: number
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0
  /** Whether the buffer is one that we made, with room behind `#end`. */
  #owned = false
  #connected = false

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** True while a packet has begun and not ended. */
  get partial(): boolean {
    return this.#end > this.#at
  }

  push(chunk: Buffer): void {
    if (!this.partial) {
      this.#bytes = chunk
      this.#at = 0
      this.#end = chunk.length
      this.#owned = false
      return
    }
    if (!this.#owned || this.#end + chunk.length > this.#bytes.length) this.#grow(chunk.length)
    chunk.copy(this.#bytes, this.#end)
    this.#end += chunk.length
  }

  /** The next whole packet. @throws BrokerError MALFORMED_PACKET | PACKET_TOO_LARGE | PROTOCOL_VIOLATION */
  next(): Frame | undefined {
    if (this.#end - this.#at < 1) return undefined
    const header = this.#bytes[this.#at] ?? 0
    const type = header >> 4
    const flags = header & 0x0f
    this.#judge(type, flags)

    const length = this.#remainingLength()
    if (length === undefined) return undefined
    const start = this.#at + 1 + length.bytes
    if (1 + length.bytes + length.value > this.maxBytes) {
      throw new BrokerError(
        'PACKET_TOO_LARGE',
        `a packet of ${length.value} bytes; at most ${this.maxBytes} are allowed`,
      )
    }
    if (this.#end < start + length.value) return undefined
    this.#at = start + length.value
    this.#connected = true
    return { type, flags, body: this.#bytes.subarray(start, this.#at) }
  }

  #judge(type: number, flags: number): void {
    const expected = clientFlags[type]
    if (expected === undefined) throw new BrokerError('PROTOCOL_VIOLATION', `a client never sends packet type ${type}`)
    // MQTT 3.1.1 §2.2.2 [MQTT-2.2.2-2]; PUBLISH has flags of its own.
    if (type !== packetTypes.publish && flags !== expected) {
      throw new BrokerError('MALFORMED_PACKET', `reserved flags ${flags} in packet type ${type}`)
    }
    // [MQTT-3.1.0-1], [MQTT-3.1.0-2]
    if (this.#connected === (type === packetTypes.connect)) {
      throw new BrokerError('PROTOCOL_VIOLATION', this.#connected ? 'a second CONNECT' : 'a packet before CONNECT')
    }
  }

  /** MQTT 3.1.1 §2.2.3: at most four bytes, and no more than the number needs. */
  #remainingLength(): { readonly value: number; readonly bytes: number } | undefined {
    let value = 0
    for (let bytes = 1; bytes <= 4; bytes++) {
      if (this.#at + bytes >= this.#end) return undefined
      const digit = this.#bytes[this.#at + bytes] ?? 0
      value += (digit & 0x7f) * 128 ** (bytes - 1)
      if (digit < 0x80) {
        if (digit === 0 && bytes > 1) throw new BrokerError('MALFORMED_PACKET', 'remaining length with a needless byte')
        return { value, bytes }
      }
    }
    throw new BrokerError('MALFORMED_PACKET', 'remaining length of over four bytes')
  }

  /** Doubles the room, so that a packet that comes byte by byte costs no more than its size in copies. */
  #grow(more: number): void {
    const length = this.#end - this.#at
    const bigger = Buffer.allocUnsafe(Math.max(2 * length, length + more))
    this.#bytes.copy(bigger, 0, this.#at, this.#end)
    this.#bytes = bigger
    this.#at = 0
    this.#end = length
    this.#owned = true
  }
}

/** The packet types that a client of QoS 0 and 1 sends, with their fixed flags (MQTT 3.1.1 table 2.2). */
const clientFlags: readonly (number | undefined)[] = (() => {
  const flags: (number | undefined)[] = new Array<number | undefined>(16).fill(undefined)
  flags[packetTypes.connect] = 0
  flags[packetTypes.publish] = 0
  flags[packetTypes.puback] = 0
  flags[packetTypes.subscribe] = 2
  flags[packetTypes.unsubscribe] = 2
  flags[packetTypes.pingreq] = 0
  flags[packetTypes.disconnect] = 0
  return flags
})()
