import { BrokerError } from '../errors.js'
import { packetTypes } from './packet.js'
import { malformed, violation } from './refuse.js'

/** One packet as the wire carries it: what follows its fixed header lies in `bytes` from `start` to before `end`. */
export interface Frame {
  readonly type: number
  readonly flags: number
  /** What was received, other packets included. Nobody writes to it, so views of it stay true. */
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

/**
 * Cuts a stream of bytes into frames. A header is judged as soon as it is there: a packet of a kind that a client must
 * not send, or one that is announced above the limit, is refused before any of its body is kept. What is held is never
 * more than the largest packet and the last chunk.
 */
export class FrameReader {
  /** The largest packet from now on, header included. */
  maxBytes: number
  #bytes: Buffer = nothing
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

  /** How much memory is held for what has not been read yet. */
  get heldBytes(): number {
    return this.#bytes.length
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
    if (!this.partial) {
      this.#bytes = nothing // who falls silent keeps no memory
      return undefined
    }
    const header = this.#bytes[this.#at] ?? 0
    const type = header >> 4
    const flags = header & 0x0f
    this.#judge(type, flags)

    const start = this.#bodyStart()
    if (start === 0) return undefined
    const end = start + this.#bodyLength(start)
    if (end - this.#at > this.maxBytes) {
      throw new BrokerError(
        'PACKET_TOO_LARGE',
        `a packet of ${end - this.#at} bytes; at most ${this.maxBytes} are allowed`,
      )
    }
    if (end > this.#end) return undefined
    this.#at = end
    this.#connected = true
    return { type, flags, bytes: this.#bytes, start, end }
  }

  #judge(type: number, flags: number): void {
    const expected = clientFlags[type]
    if (expected === undefined) throw violation(`a client never sends packet type ${type}`)
    // [MQTT-2.1.3-1]; in MQTT 3.1.1 [MQTT-2.2.2-2]. PUBLISH has flags of its own.
    if (type !== packetTypes.publish && flags !== expected) {
      throw malformed(`reserved flags ${flags} in packet type ${type}`)
    }
    // [MQTT-3.1.0-1], [MQTT-3.1.0-2]
    if (this.#connected === (type === packetTypes.connect)) {
      throw violation(this.#connected ? 'a second CONNECT' : 'a packet before CONNECT')
    }
  }

  /** Where the body begins, behind at most four bytes of length (MQTT 5.0 §2.1.4); 0 while these are not all there. */
  #bodyStart(): number {
    for (let at = this.#at + 1; at < this.#end; at++) {
      const digit = this.#bytes[at] ?? 0
      if (digit >= 0x80) {
        if (at === this.#at + 4) throw malformed('remaining length of over four bytes')
        continue
      }
      if (digit === 0 && at > this.#at + 1) throw malformed('remaining length with a needless byte') // [MQTT-1.5.5-1]
      return at + 1
    }
    return 0
  }

  #bodyLength(start: number): number {
    let length = 0
    for (let at = start - 1; at > this.#at; at--) length = (length << 7) | ((this.#bytes[at] ?? 0) & 0x7f)
    return length
  }

  /** Doubles the room, so that a packet that comes byte by byte costs no more than its size in copies. */
  #grow(more: number): void {
    const length = this.#end - this.#at
    const bigger = Buffer.allocUnsafeSlow(Math.max(Math.min(2 * length, this.maxBytes), length + more))
    this.#bytes.copy(bigger, 0, this.#at, this.#end)
    this.#bytes = bigger
    this.#at = 0
    this.#end = length
    this.#owned = true
  }
}

const nothing = Buffer.alloc(0)

/** The packet types that a client sends, with their fixed flags (MQTT 5.0 tables 2-1 and 2-2). */
const clientFlags: readonly (number | undefined)[] = (() => {
  const flags: (number | undefined)[] = new Array<number | undefined>(16).fill(undefined)
  flags[packetTypes.connect] = 0
  flags[packetTypes.publish] = 0
  flags[packetTypes.puback] = 0
  flags[packetTypes.pubrec] = 0
  flags[packetTypes.pubrel] = 2
  flags[packetTypes.pubcomp] = 0
  flags[packetTypes.subscribe] = 2
  flags[packetTypes.unsubscribe] = 2
  flags[packetTypes.pingreq] = 0
  flags[packetTypes.disconnect] = 0
  flags[packetTypes.auth] = 0
  return flags
})()
