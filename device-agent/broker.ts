import type { MqttClient } from 'mqtt'
import type { TopicName } from '#protocol'
import type { Clock } from './clock.js'
import type { DeviceKey } from './device-key.js'
import { AgentError } from './errors.js'
import { type IssuedGeneration, parseBroker } from './generation.js'
import { connectError, place } from './tls.js'
import { trustIn, verifyServer } from './trust.js'

export interface BrokerSession {
  readonly client: MqttClient
  /** Settles when the connection is gone, however that came about. */
  readonly ended: Promise<AgentError>
  /** Says goodbye (MQTT 3.1.1 §3.14) and closes. */
  close(): Promise<void>
}

/** Where the device says, retained, that it is online; and the broker, as its will, that it is not (MQTT 3.1.1 §3.1.2.5). */
export interface Announcement {
  readonly topic: TopicName
}

export interface BrokerOptions {
  /** The device's id, or that followed by `~` and a word of its own for a second connection. */
  readonly clientId: string
  /** False keeps subscriptions and queued messages over a lost connection. */
  readonly clean: boolean
  readonly keepAliveSeconds?: number
  readonly announce?: Announcement
  /** From the TLS handshake to CONNACK; default 15,000. */
  readonly timeoutMs?: number
}

/**
 * One MQTT session with the device's certificate. It never reconnects by itself: when to try again is the caller's
 * decision. @throws AgentError UNREACHABLE, CERTIFICATE_REFUSED, BROKER_REFUSED, SERVER_UNTRUSTED, …
 */
export async function connectBroker(
  generation: IssuedGeneration,
  key: DeviceKey,
  clock: Clock,
  options: BrokerOptions,
): Promise<BrokerSession> {
  const { clientId, clean, keepAliveSeconds = 60, timeoutMs = 15_000, announce } = options
  const endpoint = parseBroker(generation.facts.broker)
  const { MqttClient } = await import('mqtt')
  const { stream } = await key.connect({
    ...endpoint,
    ca: [],
    certificateChain: generation.certificateChain,
    verify: (chain) => verifyServer(chain, endpoint, trustIn(generation.trustBundle), clock),
    timeoutMs,
  })
  let streamError: Error | undefined
  stream.once('error', (error) => (streamError = error))
  const client = new MqttClient(() => stream, {
    clientId,
    clean,
    keepalive: keepAliveSeconds,
    protocolVersion: 4,
    reconnectPeriod: 0,
    connectTimeout: timeoutMs,
    ...(announce === undefined ? {} : { will: { topic: announce.topic, payload: offline, qos: 1, retain: true } }),
  })
  client.on('error', () => undefined) // heard below where it matters; an unheard one would end the process
  const ended = new Promise<AgentError>((resolve) => {
    client.once('close', () => {
      const told = streamError && connectError(streamError, endpoint)
      if (told?.code === 'CERTIFICATE_REFUSED') return resolve(told)
      resolve(
        new AgentError('CONNECTION_LOST', `${place(endpoint)} closed the MQTT connection`, { cause: streamError }),
      )
    })
  })
  const close = async (): Promise<void> => {
    // A clean DISCONNECT discards the will (§3.14.4), so saying goodbye is ours to do.
    if (announce !== undefined) client.publish(announce.topic, offline, { qos: 0, retain: true })
    await client.endAsync(!client.connected) // without a connection nothing that waits will ever be acknowledged
    stream.destroy()
  }
  try {
    await acknowledged(client, ended)
    if (announce !== undefined) client.publish(announce.topic, online, { qos: 1, retain: true })
    return { client, ended, close }
  } catch (error) {
    client.end(true)
    stream.destroy()
    throw error
  }
}

const online = Buffer.from('{"online":true}')
const offline = Buffer.from('{"online":false}')

/** Waits for CONNACK (MQTT 3.1.1 §3.2). */
function acknowledged(client: MqttClient, ended: Promise<AgentError>): Promise<void> {
  return new Promise((resolve, reject) => {
    client.once('connect', () => {
      resolve()
    })
    client.once('error', (error) => {
      const code = 'code' in error && typeof error.code === 'number' ? error.code : undefined
      if (code === undefined) return
      // Unavailable says nothing about this device, and is no reason to doubt its certificate.
      const meaning = code === 3 ? 'UNREACHABLE' : 'BROKER_REFUSED'
      reject(new AgentError(meaning, `the broker refused: ${returnCodes[code] ?? error.message}`))
    })
    void ended.then(reject)
  })
}

/** MQTT 3.1.1 §3.2.2.3 */
const returnCodes: Readonly<Record<number, string>> = {
  1: 'it does not speak MQTT 3.1.1',
  2: 'the client id is not this device’s',
  3: 'it is unavailable',
  4: 'bad user name or password',
  5: 'this device is not authorized; it may be revoked, or its certificate superseded',
}
