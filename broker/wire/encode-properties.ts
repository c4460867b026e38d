import { boundedText, prefixed, variableIntegerBytes, writeUint16, writeUint32, writeVariableInteger } from './bytes.js'
import type { MessageProperties, UserProperty } from './packet.js'
import { propertyIds } from './properties.js'

type PropertyId = (typeof propertyIds)[keyof typeof propertyIds]

/** Longer reasons are cut: they are for people, and must not make a small answer a large one. */
const maxReasonBytes = 256

const nothing = Buffer.alloc(0)

/** The properties that every receiver of a message gets, without their length: encoded once for all of them. */
export function encodeMessageProperties(properties: MessageProperties): Buffer {
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties = [] } = properties
  const parts = [
    byteProperty(propertyIds.payloadFormatIndicator, payloadFormatIndicator),
    textProperty(propertyIds.contentType, contentType),
    textProperty(propertyIds.responseTopic, responseTopic),
    binaryProperty(propertyIds.correlationData, correlationData),
    ...userProperties.map(userProperty),
  ]
  const encoded = Buffer.concat(parts)
  return encoded.length === 0 ? nothing : encoded
}

/** What they take to keep, roughly. */
export function propertyBytes(properties: MessageProperties): number {
  const { contentType = '', responseTopic = '', correlationData, userProperties = [] } = properties
  const pairs = userProperties.reduce((sum, [name, value]) => sum + name.length + value.length + 100, 0)
  return contentType.length + responseTopic.length + (correlationData?.length ?? 0) + pairs
}

/** The same without a view into the read buffer that they came in. */
export function detached(properties: MessageProperties): MessageProperties {
  const { correlationData } = properties
  return correlationData ? { ...properties, correlationData: Buffer.from(correlationData) } : properties
}

/** Properties with their length in front (MQTT 5.0 §2.2.2). */
export function propertySection(properties: readonly Uint8Array[]): Buffer {
  const length = properties.reduce((sum, { length }) => sum + length, 0)
  const prefix = new Uint8Array(variableIntegerBytes(length))
  writeVariableInteger(length, prefix, 0)
  return Buffer.concat([prefix, ...properties])
}

export function reasonProperty(reason: string | undefined): Uint8Array {
  if (reason === undefined) return nothing
  return binaryProperty(propertyIds.reasonString, boundedText(reason, maxReasonBytes))
}

export function userProperty([name, value]: UserProperty): Uint8Array {
  const both = [prefixed(Buffer.from(name)), prefixed(Buffer.from(value))]
  return Buffer.concat([Uint8Array.of(propertyIds.userProperties), ...both])
}

/* Each is empty where there is no value. */

function byteProperty(id: PropertyId, value: number | undefined): Uint8Array {
  return value === undefined ? nothing : Uint8Array.of(id, value)
}

export function uint16Property(id: PropertyId, value: number | undefined): Uint8Array {
  if (value === undefined) return nothing
  const bytes = Uint8Array.of(id, 0, 0)
  writeUint16(value, bytes, 1)
  return bytes
}

export function uint32Property(id: PropertyId, value: number | undefined): Uint8Array {
  if (value === undefined) return nothing
  const bytes = Uint8Array.of(id, 0, 0, 0, 0)
  writeUint32(value, bytes, 1)
  return bytes
}

export function textProperty(id: PropertyId, value: string | undefined): Uint8Array {
  return value === undefined ? nothing : binaryProperty(id, Buffer.from(value))
}

function binaryProperty(id: PropertyId, value: Uint8Array | undefined): Uint8Array {
  return value === undefined ? nothing : Buffer.concat([Uint8Array.of(id), prefixed(value)])
}
