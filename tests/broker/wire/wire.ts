import { decodePacket } from '../../../broker/wire/decode.js'
import { FrameReader } from '../../../broker/wire/frame.js'
import type { Packet, ProtocolLevel } from '../../../broker/wire/packet.js'
import type { PacketLimits } from '../../../broker/wire/properties.js'

/** Everything in a stream, each packet by the level of the CONNECT that it begins with; in chunks of a size. */
export function decodeStream(
  stream: Uint8Array,
  options: { readonly chunk?: number; readonly maxBytes?: number; readonly limits?: PacketLimits } = {},
): readonly Packet[] {
  const { chunk = stream.length, maxBytes = 1 << 18, limits } = options
  const reader = new FrameReader(maxBytes)
  const packets: Packet[] = []
  let level: ProtocolLevel | undefined
  for (let at = 0; at < stream.length; at += chunk) {
    reader.push(Buffer.from(stream.subarray(at, at + chunk)))
    for (let frame = reader.next(); frame; frame = reader.next()) {
      const packet = decodePacket(frame, level, limits)
      if (packet.type === 'connect') level = packet.level
      packets.push(packet)
    }
  }
  return packets
}

type Bytes = number | readonly number[] | Uint8Array

export function bytes(...parts: readonly Bytes[]): Buffer {
  return Buffer.concat(parts.map((part) => (part instanceof Uint8Array ? part : Uint8Array.from([part].flat()))))
}

/** Text, or bytes that claim to be, with the length in front. */
export function field(content: string | readonly number[]): Buffer {
  const encoded = typeof content === 'string' ? Buffer.from(content) : Uint8Array.from(content)
  return bytes(encoded.length >> 8, encoded.length & 0xff, encoded)
}

/** A packet with the right remaining length in front of whatever body. */
export function packetOf(header: number, ...body: readonly Bytes[]): Buffer {
  const content = bytes(...body)
  const length: number[] = []
  let rest = content.length
  do {
    length.push((rest & 0x7f) | (rest >= 0x80 ? 0x80 : 0))
    rest >>= 7
  } while (rest > 0)
  return bytes(header, length, content)
}

/** CONNECT with what follows keep alive, which is 60. */
export function connectOf(level: number, flags: number, ...rest: readonly Bytes[]): Buffer {
  return packetOf(0x10, field('MQTT'), level, flags, 0, 60, ...rest)
}

export function hello(level: ProtocolLevel): Buffer {
  return connectOf(level, 0x02, level === 5 ? [0] : [], field('d1'))
}
