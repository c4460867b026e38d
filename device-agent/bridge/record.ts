import { crc32 } from 'node:zlib'
import { parseTopicName, ProtocolError } from '#protocol'
import type { QueuedMessage } from './message.js'

/*
 * On disk, one after the other: u32 length of the body, u32 CRC-32 of it; body: u8 flags (0x01 QoS 1, 0x02 retain),
 * u64 sequence, u16 length of the topic, topic, payload. Big-endian.
 */

const headBytes = 8
const bodyHeadBytes = 1 + 8 + 2
const qos1 = 0x01
const retained = 0x02

export function encodeRecord({ topic, payload, qos, retain, sequence }: QueuedMessage): Buffer {
  const topicBytes = Buffer.from(topic)
  const record = Buffer.allocUnsafe(headBytes + bodyHeadBytes + topicBytes.length + payload.length)
  record.writeUInt32BE(record.length - headBytes, 0)
  let at = record.writeUInt8((qos === 1 ? qos1 : 0) | (retain ? retained : 0), headBytes)
  at = record.writeBigUInt64BE(BigInt(sequence), at)
  at = record.writeUInt16BE(topicBytes.length, at)
  record.set(topicBytes, at)
  record.set(payload, at + topicBytes.length)
  record.writeUInt32BE(crc32(record.subarray(headBytes)), 4)
  return record
}

/** How many bytes it takes on disk. */
export function recordBytes({ topic, payload }: Pick<QueuedMessage, 'topic' | 'payload'>): number {
  return headBytes + bodyHeadBytes + Buffer.byteLength(topic) + payload.length
}

/** All whole records from the file's start; what a power cut left half written ends them. */
export function decodeRecords(file: Buffer): QueuedMessage[] {
  const records: QueuedMessage[] = []
  for (let at = 0; at + headBytes <= file.length;) {
    const length = file.readUInt32BE(at)
    const body = file.subarray(at + headBytes, at + headBytes + length)
    if (body.length < length || length < bodyHeadBytes || crc32(body) !== file.readUInt32BE(at + 4)) break
    const record = decodeBody(body)
    if (record !== undefined) records.push(record)
    at += headBytes + length
  }
  return records
}

/** Undefined for a topic that no agent of this release would have taken. */
function decodeBody(body: Buffer): QueuedMessage | undefined {
  const flags = body.readUInt8(0)
  const payloadAt = bodyHeadBytes + body.readUInt16BE(9)
  try {
    return {
      topic: parseTopicName(body.toString('utf8', bodyHeadBytes, payloadAt)),
      payload: body.subarray(payloadAt),
      qos: flags & qos1 ? 1 : 0,
      retain: (flags & retained) !== 0,
      sequence: Number(body.readBigUInt64BE(1)),
      maybeSent: false,
      failures: 0,
    }
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}
