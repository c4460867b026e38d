import { crc32 } from 'node:zlib'
import {
  boolean,
  bytes,
  CodedError,
  decodeJson,
  encodeJson,
  integer,
  list,
  object,
  optional,
  parsed,
  parseDeviceId,
  parseFingerprint,
  parseShare,
  parseTopicFilter,
  parseTopicName,
  text,
  type TopicName,
} from '#protocol'
import { type Clocks, momentOf, timeOf } from '../clocks.js'
import { BrokerError } from '../errors.js'
import { Message } from '../message.js'
import type { Outgoing } from '../queue.js'
import { weightOf } from '../routing/level-tree.js'
import type { Received } from '../session.js'
import type { Speaker } from '../speaker.js'
import type { Subscription } from '../subscription.js'
import type { Qos, UserProperty, Will } from '../wire/packet.js'

/*
 * How a row lies in the store: a CRC-32 of its key and all that follows, the length of a header, the header in JSON, and
 * a payload where there is one. A row that was damaged, or moved to another key, is found out when it is read.
 */

const sealBytes = 4
const lengthBytes = 4
const maxText = 65_535 // of a string on the wire

const maxAddress = 64 // IPv6 with the name of an interface behind it has 61

const wholeNumber = integer(0, Number.MAX_SAFE_INTEGER)
const qosNumber = integer(0, 2)

const userProperty = (value: unknown, path: string): UserProperty => {
  const [name = '', content = ''] = list(text(maxText), 2)(value, path)
  return [name, content]
}

const messageProperties = object({
  payloadFormatIndicator: optional((value: unknown, path: string) => (integer(0, 1)(value, path) === 1 ? 1 : 0)),
  contentType: optional(text(maxText)),
  responseTopic: optional(parsed(parseTopicName, maxText)),
  correlationData: optional(bytes(maxText)),
  userProperties: optional(list(userProperty, maxText)),
})

const sessionHeader = object({
  device: parsed(parseDeviceId),
  /** By which its client was let in last. */
  certificate: optional(parsed(parseFingerprint)),
  address: optional(text(maxAddress)),
  /** When its client went, in milliseconds since 1970; not there while it is connected. */
  since: optional(wholeNumber),
  expirySeconds: wholeNumber,
})
const subscriptionHeader = object({
  qos: qosNumber,
  noLocal: boolean,
  retainAsPublished: boolean,
  identifier: optional(wholeNumber),
})
const receivedHeader = object({ topic: parsed(parseTopicName, maxText) })
const messageHeader = object({
  topic: parsed(parseTopicName, maxText),
  qos: qosNumber,
  retain: boolean,
  publisher: parsed(parseDeviceId),
  clientId: text(maxText),
  origin: integer(-1, Number.MAX_SAFE_INTEGER), // -1: its publish went without a record
  properties: messageProperties,
  expiresAt: optional(wholeNumber),
})
const outgoingHeader = object({
  message: messageHeader,
  qos: integer(1, 2),
  since: wholeNumber,
  retain: boolean,
  identifiers: list(wholeNumber, maxText),
  packetId: optional(integer(1, 0xffff)),
  released: boolean,
})
const willHeader = object({
  device: parsed(parseDeviceId),
  certificate: optional(parsed(parseFingerprint)),
  address: optional(text(maxAddress)),
  topic: parsed(parseTopicName, maxText),
  qos: qosNumber,
  retain: boolean,
  delaySeconds: wholeNumber,
  messageExpirySeconds: optional(wholeNumber),
  properties: messageProperties,
})

export type SessionRow = ReturnType<typeof sessionHeader>

export function encodeSession(key: string, { device, certificate, address, since, expirySeconds }: SessionRow): Buffer {
  return encodeRow(key, { device, certificate, address, since, expirySeconds })
}

export function decodeSession(key: string, row: Uint8Array): SessionRow {
  return decodeJson(readRow(key, row).header, sessionHeader, 'session')
}

/** Its name is in the key. */
export function encodeSubscription(key: string, { qos, noLocal, retainAsPublished, identifier }: Subscription): Buffer {
  return encodeRow(key, { qos, noLocal, retainAsPublished, identifier })
}

export function decodeSubscription(key: string, named: string, row: Uint8Array): Subscription {
  const name = parseTopicFilter(named)
  const { qos, identifier, ...options } = decodeJson(readRow(key, row).header, subscriptionHeader, 'subscription')
  const parsed = parseShare(name)
  if (!parsed.valid) throw new BrokerError('STORE_CORRUPT', parsed.problem)
  return {
    name,
    filter: parsed.filter,
    share: parsed.share,
    qos: asQos(qos),
    identifier,
    weight: weightOf(name),
    ...options,
  }
}

export function encodeReceived(key: string, { topic }: Received): Buffer {
  return encodeRow(key, { topic })
}

export function decodeReceived(key: string, row: Uint8Array): TopicName {
  return decodeJson(readRow(key, row).header, receivedHeader, 'received').topic
}

export function encodeMessage(key: string, message: Message, clocks: Clocks): Buffer {
  return encodeRow(key, headerOf(message, clocks), message.payload)
}

export function decodeMessage(key: string, row: Uint8Array, clocks: Clocks): Message {
  const { header, payload } = readRow(key, row)
  return restoreMessage(decodeJson(header, messageHeader, 'message'), payload, clocks)
}

export function encodeOutgoing(key: string, outgoing: Outgoing, clocks: Clocks): Buffer {
  const { message, qos, retain, identifiers, packetId, released } = outgoing
  const since = timeOf(outgoing.since, clocks)
  const header = { message: headerOf(message, clocks), qos, since, retain, identifiers, packetId, released }
  return encodeRow(key, header, message.payload)
}

export function decodeOutgoing(key: string, order: number, row: Uint8Array, clocks: Clocks): Outgoing {
  const { header, payload } = readRow(key, row)
  const { message, qos, packetId, since, ...rest } = decodeJson(header, outgoingHeader, 'queued message')
  const fixed = { qos: qos === 2 ? 2 : 1, stage: 'waiting' } as const
  const restored = { message: restoreMessage(message, payload, clocks), since: momentOf(since, clocks) }
  return { ...rest, ...fixed, ...restored, order, packetId }
}

export interface WillRow extends Speaker {
  readonly will: Will
}

export function encodeWill(key: string, { device, certificate, address, will }: WillRow): Buffer {
  const { topic, qos, retain, delaySeconds, messageExpirySeconds, properties } = will
  const from = { device, certificate, address }
  const header = { ...from, topic, qos, retain, delaySeconds, messageExpirySeconds, properties }
  return encodeRow(key, header, will.payload)
}

export function decodeWill(key: string, row: Uint8Array): WillRow {
  const { header, payload } = readRow(key, row)
  const { device, certificate, address, qos, messageExpirySeconds, ...rest } = decodeJson(header, willHeader, 'will')
  return { device, certificate, address, will: { ...rest, payload, qos: asQos(qos), messageExpirySeconds } }
}

function headerOf(
  { topic, qos, retain, publisher, clientId, origin, properties, expiresAt: end }: Message,
  clocks: Clocks,
) {
  const expiresAt = end === undefined ? undefined : timeOf(end, clocks)
  return { topic, qos, retain, publisher, clientId, origin, properties, expiresAt }
}

function restoreMessage(
  { qos, expiresAt: end, ...fields }: ReturnType<typeof messageHeader>,
  payload: Uint8Array,
  clocks: Clocks,
): Message {
  const expiresAt = end === undefined ? undefined : momentOf(end, clocks)
  return new Message({ ...fields, qos: asQos(qos), expiresAt, payload })
}

function asQos(value: number): Qos {
  return value === 2 ? 2 : value === 1 ? 1 : 0
}

function encodeRow(key: string, header: object, payload: Uint8Array = noPayload): Buffer {
  const json = Buffer.from(encodeJson(header))
  const row = Buffer.allocUnsafe(sealBytes + lengthBytes + json.length + payload.length)
  row.writeUInt32BE(json.length, sealBytes)
  row.set(json, sealBytes + lengthBytes)
  row.set(payload, sealBytes + lengthBytes + json.length)
  row.writeUInt32BE(sealOf(key, row))
  return row
}

const noPayload = new Uint8Array()

/** @throws BrokerError STORE_CORRUPT */
function readRow(key: string, bytes: Uint8Array): { readonly header: string; readonly payload: Buffer } {
  const row = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (row.length < sealBytes + lengthBytes) throw new BrokerError('STORE_CORRUPT', 'the row is too short')
  if (row.readUInt32BE() !== sealOf(key, row)) throw new BrokerError('STORE_CORRUPT', 'the checksum does not match')
  const start = sealBytes + lengthBytes
  const end = start + row.readUInt32BE(sealBytes)
  return { header: row.toString('utf8', start, end), payload: row.subarray(end) }
}

function sealOf(key: string, row: Buffer): number {
  return crc32(row.subarray(sealBytes), crc32(key))
}

/** Whether a row is to blame, and not us. */
export function isCorruption(error: unknown): error is CodedError {
  return error instanceof CodedError
}
