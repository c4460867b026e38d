import type { IPublishPacket } from 'mqtt'
import { type CodedError, filterMatches, messageOf, parseTopicName, ProtocolError } from '#protocol'
import type { BrokerSession } from '../broker.js'
import type { Passenger } from '../passenger.js'
import type { BridgeAddress } from './address.js'
import { KnownFilters } from './known-filters.js'
import { defaultBridgeLimits, type BridgeLimits } from './limits.js'
import { listen, type Listening, type SocketRights } from './listener.js'
import { type Host, LocalBroker, type Said } from './local-broker.js'
import type { Program } from './program.js'
import { MessageQueue } from './queue.js'
import { StatusTopic, statusTopic } from './status-topic.js'
import { type Subscription, Subscriptions } from './subscriptions.js'
import { Home } from './topics.js'
import { Uplink } from './uplink.js'

export interface BridgeOptions {
  readonly address: BridgeAddress
  readonly rights: SocketRights
  readonly deviceId: string
  /** Where messages wait; only this agent's. */
  readonly folder: string
  readonly now: () => number
  /** 0 to 1. */
  readonly random: () => number
  readonly log: (event: string, facts?: Readonly<Record<string, string | number>>) => void
  readonly limits?: Partial<BridgeLimits>
}

/**
 * Programs on the device speak plain MQTT with this, and the agent carries it over its one connection. Nothing goes from
 * one program to another but through the service: so its policy decides on every message, and its log has it.
 */
export class Bridge implements Passenger, Host {
  readonly #log: BridgeOptions['log']
  readonly #home: Home
  readonly #queue: MessageQueue
  readonly #known: KnownFilters
  readonly #subscriptions: Subscriptions
  readonly #uplink: Uplink
  readonly #status: StatusTopic
  #door: { readonly broker: LocalBroker; readonly listening: Listening } | undefined
  #isRefused = false

  private constructor(
    { deviceId, now, random, log }: BridgeOptions,
    limits: BridgeLimits,
    queue: MessageQueue,
    known: KnownFilters,
  ) {
    this.#log = log
    this.#home = new Home(deviceId)
    this.#queue = queue
    this.#known = known
    this.#subscriptions = new Subscriptions(this.#home, limits)
    const tell = (status: string): void => {
      this.#hear(statusTopic, Buffer.from(status), 1, false)
    }
    this.#status = new StatusTopic({ limits, now, queue: () => queue.size, tell, log })
    this.#uplink = new Uplink({
      ...{ queue, known, limits, random },
      filters: () => this.#subscriptions.filters.filter((filter) => !isOurs(filter)),
      publishRefused: ({ topic }, { text }) => {
        this.#status.refused({ action: 'publish', topic, reason: text })
      },
      subscribeRefused: (filter, { text }) => {
        this.#status.refused({ action: 'subscribe', topic: filter, reason: text })
        // They were told that they had it. When they come again they are told the truth, by 0x80.
        for (const { program } of this.#subscriptions.to(filter)) program.end()
      },
    })
  }

  /** @throws AgentError BRIDGE_FAILED, or STATE_FAILED by the queue's folder */
  static async open(options: BridgeOptions): Promise<Bridge> {
    const limits = { ...defaultBridgeLimits, ...options.limits }
    const diskFailed = (error: unknown): void => {
      options.log('bridge disk failed', { message: messageOf(error) })
    }
    const queue = await MessageQueue.open(options.folder, limits, diskFailed)
    try {
      const bridge = new Bridge(options, limits, queue, await KnownFilters.open(options.folder, diskFailed))
      const broker = await LocalBroker.open(limits, bridge)
      const listening = await listen(options.address, options.rights, (socket) => broker.accept(socket)).catch(
        async (error: unknown) => {
          await broker.close()
          throw error
        },
      )
      bridge.#door = { broker, listening }
      const { messages } = queue.size
      options.log('bridge open', { at: bridge.at, ...(messages > 0 && { queued: messages }) })
      return bridge
    } catch (error) {
      await queue.close()
      throw error
    }
  }

  /** Where programs connect, as on the command line. */
  get at(): string {
    const address = this.#door?.listening.address
    if (address === undefined) return 'nowhere'
    if (address.kind === 'unix') return `unix:${address.path}`
    return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
  }

  // ── what the agent tells

  boarded(session: BrokerSession): void {
    this.#isRefused = false
    this.#uplink.board(session)
    this.#status.is('connected')
    void session.ended.then(() => {
      if (!this.#uplink.isConnected && !this.#isRefused) this.#status.is('disconnected')
    })
  }

  stranded(error: CodedError): void {
    if (error.code !== 'BROKER_REFUSED' && error.code !== 'CERTIFICATE_REFUSED') return
    this.#status.isRefused(error.message)
    if (!this.#isRefused) this.#log('bridge closed to programs', { error: error.code })
    this.#isRefused = true
    this.#door?.broker.dismissAll()
  }

  heard(name: string, payload: Buffer, { qos, retain, properties }: IPublishPacket): void {
    const identifiers = [properties?.subscriptionIdentifier ?? []].flat()
    if (!retain || identifiers.length === 0) return this.#hear(name, payload, qos === 0 ? 0 : 1, retain)
    // Retained messages come to whoever has just subscribed; the others have heard them (MQTT 5.0 §3.3.1.3).
    for (const subscription of identifiers.map((identifier) => this.#subscriptions.byIdentifier(identifier))) {
      if (subscription !== undefined) this.#hand(subscription, name, payload, qos === 0 ? 0 : 1, true)
    }
  }

  async close(): Promise<void> {
    this.#status.close()
    this.#uplink.close()
    const closed = this.#door?.listening.close() // before the rest, or somebody comes in behind it
    await this.#door?.broker.close()
    await closed
    await this.#queue.close()
    await this.#known.close()
  }

  // ── what programs ask

  get isOpen(): boolean {
    return !this.#isRefused
  }

  async publish(program: Program, { topic: written, payload, qos, retain }: Said): Promise<void> {
    const topic = parseTopicName(this.#home.toService(written))
    if (!this.isOpen || topic.startsWith('$')) throw new ProtocolError('INVALID_TOPIC', 'a topic of the service’s own')
    if ((await this.#queue.add({ topic, payload, qos, retain }, program)) === 'dropped') this.#status.dropped()
    await program.turn()
  }

  async subscribe(program: Program, written: string, qos: 0 | 1): Promise<boolean> {
    if (program.isGone || (written.startsWith('$') && !isOurs(written))) return false
    const added = this.#subscriptions.add(program, written, qos)
    if (added === undefined) return false
    if (isOurs(written)) {
      this.#hand(added, statusTopic, Buffer.from(this.#status.document), 1, true)
      return true
    }
    const refusal = await this.#uplink.subscribe(added.filter, added.identifier)
    if (refusal === undefined) return true
    this.#status.refused({ program: program.name, action: 'subscribe', topic: added.filter, reason: refusal.text })
    if (this.#subscriptions.byIdentifier(added.identifier) === added) this.unsubscribe(program, written)
    return false
  }

  unsubscribe(program: Program, written: string): void {
    const removed = this.#subscriptions.remove(program, written)
    if (removed === undefined || this.#subscriptions.isWanted(removed.filter) || isOurs(removed.filter)) return
    this.#uplink.unsubscribe(removed.filter)
  }

  left(program: Program): void {
    this.#queue.forget(program)
    for (const { written } of this.#subscriptions.of(program)) this.unsubscribe(program, written)
  }

  #hear(name: string, payload: Buffer, qos: 0 | 1, retain: boolean): void {
    for (const subscription of this.#subscriptions.hearing(name)) {
      this.#hand(subscription, name, payload, qos, retain)
    }
  }

  #hand(
    { program, written, qos: most }: Subscription,
    name: string,
    payload: Buffer,
    qos: 0 | 1,
    retain: boolean,
  ): void {
    const topic = this.#home.toProgram(name, written)
    program.hand({ topic, payload, qos: qos < most ? qos : most, retain })
  }
}

/** What is not asked of the service. */
function isOurs(filter: string): boolean {
  return filterMatches(filter.split('/'), statusTopic.split('/'))
}
