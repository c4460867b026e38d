import {
  decodeJson,
  type DeviceId,
  type InstanceId,
  integer,
  object,
  parsed,
  parseDeviceId,
  parseInstanceId,
  parseJoinUri,
  parseTime,
  ProtocolError,
  word,
} from '#protocol'
import type { Endpoint } from './device-key.js'
import { AgentError } from './errors.js'
import type { KeyFile } from './key-file.js'

/** One key and, once the service has answered, the certificate for it: they change together or not at all. */
export interface Generation {
  readonly number: number
  readonly folder: string
  readonly key: KeyFile
}

/** A generation with which the device can connect. */
export interface IssuedGeneration extends Generation {
  /** PEM: the device's own certificate, then its issuers. */
  readonly certificateChain: string
  /** PEM: what servers of this trust domain lead to. */
  readonly trustBundle: string
  readonly facts: EnrollmentFacts
}

/** What the service said with the certificate; `meta.json` of the generation. */
export interface EnrollmentFacts {
  readonly deviceId: DeviceId
  readonly instanceId: InstanceId
  /** Where the device joined, and where it renews. */
  readonly joinUri: string
  readonly broker: string
  readonly trustBundleSequence: number
  readonly keyKind: KeyFile['kind']
  readonly notBefore: Date
  readonly notAfter: Date
  readonly renewal: { readonly start: Date; readonly end: Date }
}

export function encodeFacts(facts: EnrollmentFacts): string {
  return `${JSON.stringify(facts, undefined, 2)}\n`
}

/** @throws AgentError STATE_INVALID */
export function decodeFacts(content: string, path: string): EnrollmentFacts {
  try {
    return decodeJson(content, enrollmentFacts, path)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new AgentError('STATE_INVALID', cause.message, { cause })
  }
}

const enrollmentFacts = object({
  deviceId: parsed(parseDeviceId),
  instanceId: parsed(parseInstanceId),
  joinUri: parsed((uri) => (parseJoinUri(uri), uri), 4096),
  broker: parsed((url) => (parseBroker(url), url)),
  trustBundleSequence: integer(0, Number.MAX_SAFE_INTEGER),
  keyKind: word('software', 'tpm'),
  notBefore: parsed(parseTime),
  notAfter: parsed(parseTime),
  renewal: object({ start: parsed(parseTime), end: parsed(parseTime) }),
}) satisfies (value: unknown, path: string) => EnrollmentFacts

/** @throws ProtocolError INVALID_MESSAGE */
export function parseBroker(url: string): Endpoint {
  const match = /^mqtts:\/\/(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})\/?$/.exec(url)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port < 1 || port > 65_535) {
    throw new ProtocolError('INVALID_MESSAGE', 'expected a broker such as mqtts://broker.example:8883')
  }
  return { host, port }
}
