import type { MqttClient, OnMessageCallback } from 'mqtt'
import type { TopicName } from '#protocol'
import type { Clock } from './clock.js'
import type { DeviceKey } from './device-key.js'
import { AgentError } from './errors.js'
import { type IssuedGeneration, parseBroker } from './generation.js'
import { listenForReasons, type SpokenReason } from './spoken-reason.js'
import { connectError, place } from './tls.js'
import { trustIn, verifyServer } from './trust.js'

export interface BrokerSession {
  readonly client: MqttClient
  /** Settles when the connection is gone, however that came about. */
  readonly ended: Promise<AgentError>
  /** What the broker said last of a refusal. */
  reason(): SpokenReason | undefined
  /** Resolves when the broker has dealt with all that was sent before; never, when the connection ends first. */
  answersPing(): Promise<void>
  /** Says goodbye (MQTT 5.0 §3.14) and closes. */
  close(): Promise<void>
}

/** Where the device says, retained, that it is online; and the broker, as its will, that it is not (MQTT 5.0 §3.1.2.5). */
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
  /** Hears every message, those too that the broker kept for this session and sends at once. */
  readonly heard?: OnMessageCallback
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
  const { clientId, clean, keepAliveSeconds = 60, timeoutMs = 15_000, announce, heard } = options
  const endpoint = parseBroker(generation.facts.broker)
  const { MqttClient } = await importMqtt()
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
    protocolVersion: 5,
    properties: { sessionExpiryInterval: clean ? 0 : asLongAsItGets },
    reconnectPeriod: 0,
    connectTimeout: timeoutMs,
    ...(announce === undefined ? {} : { will: { topic: announce.topic, payload: offline, qos: 1, retain: true } }),
  })
  client.on('error', () => undefined) // heard below where it matters; an unheard one would end the process
  if (heard !== undefined) client.on('message', heard)
  const reason = listenForReasons(client)
  const ended = new Promise<AgentError>((resolve) => {
    client.once('close', () => {
      const told = streamError && connectError(streamError, endpoint)
      if (told?.code === 'CERTIFICATE_REFUSED') return resolve(told)
      resolve(whyEnded(place(endpoint), reason(), streamError))
    })
  })
  const close = async (): Promise<void> => {
    // A DISCONNECT of 0x00 discards the will (§3.14.4), so saying goodbye is ours to do.
    if (announce !== undefined) client.publish(announce.topic, offline, { qos: 0, retain: true })
    await client.endAsync(!client.connected) // without a connection nothing that waits will ever be acknowledged
    stream.destroy()
  }
  try {
    await acknowledged(client, reason, ended)
    if (announce !== undefined) client.publish(announce.topic, online, { qos: 1, retain: true })
    return { client, ended, reason, answersPing: () => answersPing(client), close }
  } catch (error) {
    client.end(true)
    stream.destroy()
    throw error
  }
}

/** Without mqtt-packet's 65,536 buffers, one for each packet identifier, that it makes at the first packet and holds: 12 MB. */
async function importMqtt(): Promise<typeof import('mqtt')> {
  const [mqtt, { writeToStream }] = await Promise.all([import('mqtt'), import('mqtt-packet')])
  writeToStream.cacheNumbers = false
  return mqtt
}

const online = Buffer.from('{"online":true}')
const offline = Buffer.from('{"online":false}')

/** Seconds: never, of which the broker keeps what it allows (§3.1.2.11.2). */
const asLongAsItGets = 0xffff_ffff

/** Waits for CONNACK (§3.2). */
function acknowledged(client: MqttClient, reason: BrokerSession['reason'], ended: Promise<AgentError>): Promise<void> {
  return new Promise((resolve, reject) => {
    client.once('connect', () => {
      resolve()
    })
    client.once('error', (error) => {
      const said = reason()
      if (said?.packet !== 'connack') return
      const code = said.isAboutUs ? 'BROKER_REFUSED' : 'UNREACHABLE'
      reject(new AgentError(code, `the broker refused: ${said.text}`, { cause: error }))
    })
    void ended.then(reject)
  })
}

/** Packets are dealt with in the order in which they come, and a PINGREQ is always answered (§3.12). */
function answersPing(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    client.on('packetreceive', ({ cmd }) => {
      if (cmd === 'pingresp') resolve()
    })
    client.sendPing()
  })
}

/** By the broker's DISCONNECT (§3.14), if there was one. */
function whyEnded(where: string, said: SpokenReason | undefined, cause: Error | undefined): AgentError {
  if (said?.packet !== 'disconnect') {
    return new AgentError('CONNECTION_LOST', `${where} closed the MQTT connection`, { cause })
  }
  return new AgentError(
    said.isAboutUs ? 'SESSION_ENDED' : 'CONNECTION_LOST',
    `${where} ended the session: ${said.text}`,
  )
}
