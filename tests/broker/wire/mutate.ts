import type { ProtocolLevel } from '../../../broker/wire/packet.js'
import type { Random } from './random-packets.js'
import { bytes, packetOf } from './wire.js'

/** The packets of one connection, still apart. */
export interface Conversation {
  readonly level: ProtocolLevel
  readonly packets: readonly Buffer[]
}

/** A stream that was valid before something was done to it, once to three times; `others` lend what is spliced in. */
export function mutate(conversation: Conversation, others: readonly Conversation[], random: Random): Buffer {
  const packets = [...conversation.packets]
  for (let times = random(3) === 0 ? 1 + random(3) : 1; times > 0; times--) {
    const donor = others[random(others.length)] ?? conversation
    const mutation = mutations[random(mutations.length)]
    mutation?.(packets, { random, level: conversation.level, donor: donor.packets })
  }
  return Buffer.concat(packets)
}

interface Means {
  readonly random: Random
  readonly level: ProtocolLevel
  readonly donor: readonly Buffer[]
}

type Mutation = (packets: Buffer[], means: Means) => void

const mutations: readonly Mutation[] = [
  onPacket(flip),
  onPacket(flip),
  onPacket(setTellingByte),
  onPacket(lieAboutLength),
  onPacket(changeHeader),
  onPacket((packet) => packet.subarray(0, packet.length - 1)),
  onBody(cut),
  onBody(insert),
  onBody(repeatPart),
  onBody(takeTail),
  onPacket(shuffleProperties),
  onPacket(shuffleProperties),
  movePacket,
  borrowPacket,
  dropPacket,
]

function onPacket(change: (packet: Buffer, means: Means) => Buffer): Mutation {
  return (packets, means) => {
    // Less often CONNECT, behind which nothing is read when it is refused.
    const at = Math.max(means.random(packets.length), means.random(packets.length))
    const packet = packets[at]
    if (packet && packet.length > 2) packets[at] = change(packet, means)
  }
}

/** What changes the length: the remaining length follows more often than not, else everything behind is out of step. */
function onBody(change: (body: Buffer, means: Means) => Uint8Array): Mutation {
  return onPacket((packet, means) => {
    const start = bodyStart(packet)
    const body = change(packet.subarray(start), means)
    if (means.random(4) === 0) return Buffer.concat([packet.subarray(0, start), body])
    return packetOf(packet[0] ?? 0, body)
  })
}

function flip(packet: Buffer, { random }: Means): Buffer {
  const flipped = Buffer.from(packet)
  const at = random(packet.length)
  flipped[at] = (flipped[at] ?? 0) ^ (1 << random(8))
  return flipped
}

/** Bytes that mean something: NUL, continuation, ends of ranges, wildcards, separators, parts of bad UTF-8. */
const tellingBytes = [...Buffer.from('\0\x01\x02\x03\x7f+#/$'), 0x80, 0xbf, 0xc0, 0xed, 0xf4, 0xff]

function setTellingByte(packet: Buffer, { random }: Means): Buffer {
  const changed = Buffer.from(packet)
  changed[random(packet.length)] = tellingBytes[random(tellingBytes.length)] ?? 0
  return changed
}

function lieAboutLength(packet: Buffer, { random }: Means): Buffer {
  const changed = Buffer.from(packet)
  if (random(2) === 0) {
    changed.writeUInt16BE([0, 1, 2, 0xff, 0x100, 0xffff][random(6)] ?? 0, random(packet.length - 1))
    return changed
  }
  const digits = [[random(128)], [0x80, 0], [0x80 + random(128), 1 + random(127)], [0xff, 0xff, 0xff, 0x7f]][random(4)]
  return bytes(packet[0] ?? 0, digits ?? 0, packet.subarray(bodyStart(packet)))
}

function changeHeader(packet: Buffer, { random }: Means): Buffer {
  const changed = Buffer.from(packet)
  changed[0] = random(2) === 0 ? random(256) : ((packet[0] ?? 0) & 0xf0) | random(16)
  return changed
}

function cut(body: Buffer, { random }: Means): Uint8Array {
  const at = random(body.length)
  return bytesWithout(body, at, at + 1 + random(4))
}

function insert(body: Buffer, { random }: Means): Uint8Array {
  const at = random(body.length + 1)
  const inserted = Array.from({ length: 1 + random(3) }, () => random(256))
  return Buffer.concat([body.subarray(0, at), Uint8Array.from(inserted), body.subarray(at)])
}

function repeatPart(body: Buffer, { random }: Means): Uint8Array {
  const start = random(body.length)
  const end = start + 1 + random(12)
  return Buffer.concat([body.subarray(0, end), body.subarray(start)])
}

function takeTail(body: Buffer, { random, donor }: Means): Uint8Array {
  const other = donor[random(donor.length)] ?? body
  return Buffer.concat([body.subarray(0, random(body.length + 1)), other.subarray(random(other.length))])
}

function movePacket(packets: Buffer[], { random }: Means): void {
  packets.splice(random(packets.length), 0, ...packets.splice(random(packets.length), 1))
}

function borrowPacket(packets: Buffer[], { random, donor }: Means): void {
  const borrowed = donor[random(donor.length)]
  if (borrowed) packets.splice(random(packets.length + 1), random(2), borrowed)
}

function dropPacket(packets: Buffer[], { random }: Means): void {
  if (packets.length > 1) packets.splice(random(packets.length), 1)
}

/** Changes the order of the properties, repeats one, loses one or borrows one, with all lengths right. */
function shuffleProperties(packet: Buffer, { random, level, donor }: Means): Buffer {
  const place = level === 5 ? placeOfProperties(packet) : undefined
  if (!place) return packet
  const list = splitProperties(packet.subarray(place.start, place.end))
  const other = donor[random(donor.length)]
  const otherPlace = other && placeOfProperties(other)
  const foreign = otherPlace ? splitProperties(other.subarray(otherPlace.start, otherPlace.end)) : []
  const chosen = [list[random(list.length + 1)], foreign[random(foreign.length + 1)]].filter((one) => one !== undefined)
  list.splice(random(list.length + 1), random(2), ...chosen.map((one) => (random(4) === 0 ? zeroed(one) : one)))
  const section = packetOf(0, ...list).subarray(1)
  const body = [packet.subarray(bodyStart(packet), place.prefix), section, packet.subarray(place.end)]
  return packetOf(packet[0] ?? 0, ...body)
}

function zeroed(property: Buffer): Buffer {
  return Buffer.alloc(property.length).fill(property[0] ?? 0, 0, 1)
}

/** Where a packet's (first) properties are, as far as the packet is valid. */
function placeOfProperties(packet: Buffer): { prefix: number; start: number; end: number } | undefined {
  const type = (packet[0] ?? 0) >> 4
  const body = bodyStart(packet)
  const hasId = ((packet[0] ?? 0) & 6) > 0
  const before: Readonly<Record<number, number>> = { 1: 10, 4: 3, 5: 3, 6: 3, 7: 3, 8: 2, 10: 2, 14: 1, 15: 1 }
  const topic = type === 3 && body + 1 < packet.length ? 2 + packet.readUInt16BE(body) + (hasId ? 2 : 0) : undefined
  const offset = topic ?? before[type]
  if (offset === undefined || body + offset >= packet.length) return undefined
  const prefix = body + offset
  const start = bodyStart(packet, prefix)
  const length = packet.subarray(prefix, start).reduceRight((sum, digit) => sum * 128 + (digit & 0x7f), 0)
  return start + length <= packet.length ? { prefix, start, end: start + length } : undefined
}

function splitProperties(section: Buffer): Buffer[] {
  const list: Buffer[] = []
  for (let at = 0; at < section.length;) {
    const end = Math.min(at + sizeOfProperty(section.subarray(at)), section.length)
    list.push(section.subarray(at, end))
    at = end
  }
  return list
}

function sizeOfProperty(property: Buffer): number {
  const id = property[0] ?? 0
  const field = (at: number) => (at + 1 < property.length ? 2 + property.readUInt16BE(at) : 2)
  if ([0x01, 0x17, 0x19].includes(id)) return 2
  if ([0x21, 0x22, 0x23].includes(id)) return 3
  if ([0x02, 0x11, 0x18, 0x27].includes(id)) return 5
  if (id === 0x0b) return bodyStart(property)
  if (id === 0x26) return 1 + field(1) + field(1 + field(1))
  return 1 + field(1)
}

/** Behind a variable byte integer that has one byte in front. */
function bodyStart(packet: Buffer, at = 1): number {
  let end = at
  while ((packet[end] ?? 0) >= 0x80 && end < at + 3) end++
  return end + 1
}

function bytesWithout(body: Buffer, start: number, end: number): Uint8Array {
  return Buffer.concat([body.subarray(0, start), body.subarray(end)])
}
