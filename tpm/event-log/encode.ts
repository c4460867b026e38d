import type { EventLog, LoggedEvent } from './event-log.js'
import { encodeHeader } from './header.js'

/** For firmware in software: what `decodeEventLog` reads. */
export function encodeEventLog({ banks, events }: EventLog): Uint8Array {
  return Uint8Array.from(Buffer.concat([encodeHeader(banks), ...events.map(encodeEvent)]))
}

function encodeEvent({ pcr, type, digests, data }: LoggedEvent): Uint8Array {
  const parts = [uint32(pcr), uint32(type), uint32(digests.size)]
  for (const [algorithm, digest] of digests) parts.push(uint16(algorithm), Buffer.from(digest))
  return Buffer.concat([...parts, uint32(data.length), data])
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
