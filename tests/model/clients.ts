import type { Packet } from 'mqtt-packet'
import { connectPacket, publishPacket, type RawClient, subscribePacket } from '../broker/harness.js'
import type { Correlation } from './answers.js'
import { addresses, pick, type Random, randomFilter, randomTopic } from './policies.js'
import type { ModelService } from './service.js'
import type { Wallet } from './wallet.js'

/** A connection, as its client has it. */
export interface Client {
  readonly device: string
  readonly raw: RawClient
  /** Packets that it has answered, or let be. */
  answered: number
}

const levels = [4, 5, 5] as const
const qualities = [0, 1, 2] as const

/** What devices do over their sockets. */
export class Clients {
  /** All that ever connected, with what came over their sockets. */
  readonly all: Client[] = []
  /** What was meant by what was said, by its payload, which never comes twice. */
  readonly said = new Map<string, Correlation>()
  readonly #service: ModelService
  #lastId = 0
  #lastPayload = 0

  constructor(service: ModelService) {
    this.#service = service
  }

  get alive(): readonly Client[] {
    return this.all.filter(({ raw }) => !raw.socket.destroyed && raw.all('connack').length > 0)
  }

  /** Those that were asked something. */
  get asked(): readonly Client[] {
    return this.alive.filter(({ raw }) => questionsTo(raw).length > 0)
  }

  /** Mostly with the newest certificate that the device was given, and mostly as the device's only session. */
  async connect({ device, credentials }: Wallet, random: Random): Promise<void> {
    const shown = random(8) === 0 ? pick(credentials, random) : credentials.at(-1)
    const level = pick(levels, random)
    const raw = await this.#service.world.raw(device, { ...shown, localAddress: pick(addresses, random) }, level)
    const clientId = random(4) === 0 ? `${device}~s` : device
    const keeps = random(2) === 0
    const sessionExpiryInterval = pick([20, 1000], random)
    const properties = { receiveMaximum: 1 + random(3), ...(keeps && { sessionExpiryInterval }) }
    const will = random(2) === 0 && { will: this.#will(level, random) }
    raw.send(
      connectPacket(clientId, { protocolVersion: level, clean: !keeps, ...(level === 5 && { properties }), ...will }),
    )
    await Promise.race([raw.next('connack').catch(() => undefined), raw.closed])
    this.all.push({ device, raw, answered: 0 })
  }

  subscribe({ raw }: Client, random: Random): void {
    const qos = pick(qualities, random)
    raw.send(subscribePacket(this.#nextId(), [randomFilter(random), qos], [randomFilter(random), qos]))
  }

  unsubscribe({ raw }: Client, random: Random): void {
    raw.send({ cmd: 'unsubscribe', messageId: this.#nextId(), unsubscriptions: [randomFilter(random)] })
  }

  publish({ raw }: Client, random: Random): void {
    const { payload, properties } = this.#content(raw.level, randomQuestion(random), random)
    raw.send(publishPacket(randomTopic(random), payload, { ...this.#manner(random), properties }))
  }

  /** Says what one of the last questions asks for, which it may have said before. */
  answer({ raw }: Client, random: Random): void {
    const { responseTopic = '', correlationData } = pick(questionsTo(raw).slice(-3), random).properties ?? {}
    const { payload, properties } = this.#content(5, { correlationData: String(correlationData) }, random)
    raw.send(publishPacket(responseTopic, payload, { ...this.#manner(random), properties }))
  }

  /** Gives the answers that are due; in each handshake the next packet. */
  acknowledge(client: Client): void {
    const { raw } = client
    const due = raw.received.slice(client.answered)
    client.answered += due.length
    raw.send(...due.flatMap(answerTo))
  }

  #will(level: 4 | 5, random: Random) {
    const { payload, properties } = this.#content(level, randomQuestion(random), random)
    const delayed = { properties: { ...properties, willDelayInterval: pick([0, 0, 5, 30], random) } }
    const { qos, retain } = this.#manner(random)
    const will = { topic: randomTopic(random), payload: Buffer.from(payload), qos, retain }
    return { ...will, ...(level === 5 && delayed) }
  }

  #manner(random: Random) {
    return { qos: pick(qualities, random), messageId: this.#nextId(), retain: random(4) === 0 }
  }

  /** A payload that tells it from all others, but for some that are empty; in MQTT 5 with what it asks for. */
  #content(level: 4 | 5, correlation: Correlation, random: Random) {
    const payload = random(12) === 0 ? '' : `${++this.#lastPayload}`.padEnd(random(9), 'x')
    if (payload === '' || level === 4) return { payload }
    this.said.set(payload, correlation)
    const { responseTopic, correlationData } = correlation
    const asking = responseTopic !== undefined && { responseTopic }
    const data = correlationData !== undefined && { correlationData: Buffer.from(correlationData) }
    return { payload, properties: { ...asking, ...data } }
  }

  #nextId(): number {
    return (this.#lastId++ % 60_000) + 1
  }
}

function randomQuestion(random: Random): Correlation {
  return random(2) > 0 ? {} : { responseTopic: randomTopic(random), correlationData: `c${random(3)}` }
}

function questionsTo(raw: RawClient) {
  return raw.all('publish').filter(({ properties }) => properties?.responseTopic !== undefined)
}

/** MQTT 5.0 §4.3. */
function answerTo(packet: Packet): readonly Packet[] {
  const { cmd, messageId = 0 } = packet
  if (cmd === 'publish' && packet.qos > 0) return [{ cmd: packet.qos === 1 ? 'puback' : 'pubrec', messageId }]
  if (cmd === 'pubrel') return [{ cmd: 'pubcomp', messageId }]
  return cmd === 'pubrec' && (packet.reasonCode ?? 0) < 0x80 ? [{ cmd: 'pubrel', messageId }] : []
}
