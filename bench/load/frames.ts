/* MQTT packets as the load needs them: made once before the clock starts, and read by their headers only. */

/** The protocol level of CONNECT: MQTT 3.1.1 or 5. */
export type ProtocolLevel = 4 | 5

export const packetTypes = {
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  suback: 9,
  disconnect: 14,
} as const

export const disconnectFrame = Buffer.from([0xe0, 0])

export interface ConnectTerms {
  readonly level?: ProtocolLevel
  /** What is kept for the client while it is away; nothing by default. */
  readonly sessionExpirySeconds?: number
}

export function connectFrame(clientId: string, { level = 4, sessionExpirySeconds = 0 }: ConnectTerms = {}): Buffer {
  const keepAliveSeconds = 600
  const flags = sessionExpirySeconds > 0 ? 0 : 0x02 // clean session
  const fixed = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, level, flags, keepAliveSeconds >> 8, keepAliveSeconds & 255])
  const expiry = Buffer.from([5, 0x11, 0, 0, 0, 0]) // MQTT 5.0 §3.1.2.11.2
  expiry.writeUInt32BE(sessionExpirySeconds, 2)
  return frame(0x10, [fixed, level === 5 ? expiry : nothing, utf8String(clientId)])
}

export function subscribeFrame(filter: string, qos: 0 | 1 | 2, level: ProtocolLevel = 4): Buffer {
  return frame(0x82, [Buffer.from([0, 1]), noProperties(level), utf8String(filter), Buffer.from([qos])])
}

/** Ends with its payload, so that whoever sends it again can write another there. */
export function publishFrame(
  topic: string,
  { qos, packetId, level = 4 }: { readonly qos: 0 | 1 | 2; readonly packetId: number; readonly level?: ProtocolLevel },
  payload: Uint8Array,
): Buffer {
  const id = qos === 0 ? nothing : Buffer.from([packetId >> 8, packetId & 255])
  return frame(0x30 | (qos << 1), [utf8String(topic), id, noProperties(level), payload])
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP that says yes; the same in both versions. */
export function answerFrame(type: number, packetId: number): Buffer {
  const flags = type === packetTypes.pubrel ? 0x02 : 0
  return Buffer.from([(type << 4) | flags, 2, packetId >> 8, packetId & 255])
}

/** Puts the PUBACK of a packet id at this place. */
export function writePuback(into: Buffer, at: number, packetId: number): number {
  into[at] = 0x40
  into[at + 1] = 2
  return into.writeUInt16BE(packetId, at + 2)
}

/** Calls back for every whole packet with the chunk it lies in: the header, where its body begins, where it ends. */
export class FrameScanner {
  #rest: Buffer | undefined
  readonly #onFrame: (header: number, bytes: Buffer, start: number, end: number) => void

  constructor(onFrame: (header: number, bytes: Buffer, start: number, end: number) => void) {
    this.#onFrame = onFrame
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    let at = 0
    for (;;) {
      let start = at + 1
      let length = 0
      for (let shift = 0; start < bytes.length; shift += 7) {
        const digit = bytes[start++] ?? 0
        length |= (digit & 127) << shift
        if (digit < 128) break
      }
      const isHeaderWhole = start > at + 1 && (bytes[start - 1] ?? 128) < 128
      if (!isHeaderWhole || start + length > bytes.length) break
      this.#onFrame(bytes[at] ?? 0, bytes, start, start + length)
      at = start + length
    }
    this.#rest = at < bytes.length ? bytes.subarray(at) : undefined
  }
}

const nothing = Buffer.alloc(0)

const noProperties = (level: ProtocolLevel): Buffer => (level === 5 ? Buffer.from([0]) : nothing)

function frame(header: number, parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const length: number[] = []
  for (let left = body.length; length.length === 0 || left > 0; left >>= 7) {
    length.push((left & 127) | (left > 127 ? 128 : 0))
  }
  return Buffer.concat([Buffer.from([header, ...length]), body])
}

function utf8String(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])
}
