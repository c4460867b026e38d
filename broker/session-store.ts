import { type Changes, type Store } from '#store'
import {
  boolean,
  CodedError,
  decodeJson,
  type DeviceId,
  integer,
  object,
  optional,
  parsed,
  parseDeviceId,
  parseTopicFilter,
  parseTopicName,
  type TopicFilter,
  type TopicName,
} from '#protocol'
import { BrokerError } from './errors.js'
import { Message } from './message.js'
import type { Outgoing } from './queue.js'
import type { Session } from './session.js'
import { runAlone } from './trail.js'

/*
 * broker/session/<client id>                  {"device","since"}
 * broker/subscription/<client id>/<filter>    one byte: the granted QoS
 * broker/queue/<client id>/<order>            a message for this session
 * broker/retained/<topic>                     a message
 * Client ids hold no `/`. Orders are written so that text order is their order.
 */
const prefixes = {
  session: 'broker/session/',
  subscription: 'broker/subscription/',
  queue: 'broker/queue/',
  retained: 'broker/retained/',
} as const

type Named = Pick<Session, 'clientId'>

export interface StoredSession {
  readonly clientId: string
  readonly device: DeviceId
  /** When its client was last there. */
  readonly since: number
  readonly subscriptions: readonly (readonly [TopicFilter, 0 | 1])[]
  /** Oldest first; those with a packet identifier were in flight. */
  readonly messages: readonly Outgoing[]
}

/**
 * What must survive of sessions and retained messages. Changes gather while a commit is under way and go into the next
 * one together, in the order they were made.
 */
export class SessionStore {
  readonly #store: Store
  readonly #onFailure: (error: unknown) => void
  #changes = new Map<string, Uint8Array | undefined>()
  #afterNext: (() => void)[] = []
  #count = 0
  #committing = false
  #failed = false

  /** `onFailure`: nothing that was promised by a later flush will become durable any more. */
  constructor(store: Store, onFailure: (error: unknown) => void) {
    this.#store = store
    this.#onFailure = onFailure
  }

  /** True from the first commit on that the disk has refused; no other is tried. */
  get failed(): boolean {
    return this.#failed
  }

  /** @throws BrokerError STORE_CORRUPT */
  async loadSessions(): Promise<readonly StoredSession[]> {
    const subscriptions = new Map<string, (readonly [TopicFilter, 0 | 1])[]>()
    for await (const [key, value] of this.#store.entries(prefixes.subscription)) {
      const [clientId, filter] = splitKey(key, prefixes.subscription)
      const subscription = reading(key, () => [parseTopicFilter(filter), value[0] === 1 ? 1 : 0] as const)
      listOf(subscriptions, clientId).push(subscription)
    }
    const messages = new Map<string, Outgoing[]>()
    for await (const [key, value] of this.#store.entries(prefixes.queue)) {
      const [clientId, order] = splitKey(key, prefixes.queue)
      listOf(messages, clientId).push(reading(key, () => decodeOutgoing(value, Number.parseInt(order, 16))))
    }
    const sessions: StoredSession[] = []
    for await (const [key, value] of this.#store.entries(prefixes.session)) {
      const clientId = key.slice(prefixes.session.length)
      const row = reading(key, () => decodeJson(Buffer.from(value).toString(), sessionRow, 'session'))
      sessions.push({
        clientId,
        ...row,
        subscriptions: subscriptions.get(clientId) ?? [],
        messages: messages.get(clientId) ?? [],
      })
    }
    return sessions
  }

  /** @throws BrokerError STORE_CORRUPT */
  async loadRetained(): Promise<readonly Message[]> {
    const retained: Message[] = []
    for await (const [key, value] of this.#store.entries(prefixes.retained)) {
      retained.push(reading(key, () => decodeMessage(value).message))
    }
    return retained
  }

  putSession(session: Session): void {
    const row = { device: session.device, since: session.since }
    this.#change(prefixes.session + session.clientId, Buffer.from(JSON.stringify(row)))
  }

  deleteSession(session: Session): void {
    this.#change(prefixes.session + session.clientId, undefined)
    for (const filter of session.subscriptions.keys()) this.deleteSubscription(session, filter)
    for (const outgoing of session.queue) this.deleteMessage(session, outgoing)
    for (const outgoing of session.inflight) this.deleteMessage(session, outgoing)
  }

  deleteStored({ clientId, subscriptions, messages }: StoredSession): void {
    this.#change(prefixes.session + clientId, undefined)
    for (const [filter] of subscriptions) this.deleteSubscription({ clientId }, filter)
    for (const outgoing of messages) this.deleteMessage({ clientId }, outgoing)
  }

  putSubscription(session: Named, filter: TopicFilter, qos: 0 | 1): void {
    this.#change(`${prefixes.subscription}${session.clientId}/${filter}`, Uint8Array.of(qos))
  }

  deleteSubscription(session: Named, filter: TopicFilter): void {
    this.#change(`${prefixes.subscription}${session.clientId}/${filter}`, undefined)
  }

  putMessage(session: Named, outgoing: Outgoing): void {
    this.#change(queueKey(session, outgoing), encodeOutgoing(outgoing))
  }

  deleteMessage(session: Named, outgoing: Outgoing): void {
    this.#change(queueKey(session, outgoing), undefined)
  }

  putRetained(message: Message): void {
    this.#change(prefixes.retained + message.topic, encodeMessage(message, {}))
  }

  deleteRetained(topic: TopicName): void {
    this.#change(prefixes.retained + topic, undefined)
  }

  /** Grows with every change, so that a caller sees whether what it did has to be waited for. */
  get changes(): number {
    return this.#count
  }

  /** Runs the action when all changes made until now are durable: at once when they are. In order; never after a failure. */
  afterFlush(action: () => void): void {
    if (this.#committing || this.#changes.size > 0) this.#afterNext.push(action)
    else if (!this.#failed) action()
  }

  async flushed(): Promise<void> {
    if (!this.#failed) await new Promise<void>((resolve) => this.afterFlush(resolve))
  }

  #change(key: string, value: Uint8Array | undefined): void {
    if (this.#failed) return
    if (this.#changes.size === 0 && !this.#committing) setImmediate(() => void this.#commit())
    this.#changes.set(key, value)
    this.#count++
  }

  async #commit(): Promise<void> {
    this.#committing = true
    while (this.#changes.size > 0 || this.#afterNext.length > 0) {
      const changes = this.#changes
      const actions = this.#afterNext
      this.#changes = new Map()
      this.#afterNext = []
      try {
        if (changes.size > 0) await this.#store.commit(asCommit(changes))
      } catch (error) {
        this.#failed = true
        this.#changes.clear()
        this.#afterNext = []
        this.#committing = false
        this.#onFailure(error)
        return
      }
      for (const action of actions) runAlone(action)
    }
    this.#committing = false
  }
}

function asCommit(changes: ReadonlyMap<string, Uint8Array | undefined>): Changes {
  const puts: (readonly [string, Uint8Array])[] = []
  const deletes: string[] = []
  for (const [key, value] of changes) {
    if (value) puts.push([key, value])
    else deletes.push(key)
  }
  return { puts, deletes }
}

function queueKey(session: Named, outgoing: Outgoing): string {
  return `${prefixes.queue}${session.clientId}/${outgoing.order.toString(16).padStart(14, '0')}`
}

/** Client id and the rest. */
function splitKey(key: string, prefix: string): readonly [string, string] {
  const at = key.indexOf('/', prefix.length)
  return [key.slice(prefix.length, at), key.slice(at + 1)]
}

function listOf<T>(lists: Map<string, T[]>, key: string): T[] {
  let list = lists.get(key)
  if (!list) lists.set(key, (list = []))
  return list
}

const wholeNumber = integer(0, Number.MAX_SAFE_INTEGER)
const sessionRow = object({ device: parsed(parseDeviceId), since: wholeNumber })
const messageHeader = object({
  topic: parsed(parseTopicName, 4096),
  qos: integer(0, 1),
  retain: boolean,
  publisher: parsed(parseDeviceId),
  origin: wholeNumber,
  retained: optional(boolean),
  packetId: optional(integer(1, 0xffff)),
})

/** A JSON header behind its length of two bytes, then the payload. */
function encodeMessage(message: Message, rest: { readonly retained?: boolean; readonly packetId?: number }): Buffer {
  const { topic, qos, retain, publisher, origin } = message
  const header = Buffer.from(JSON.stringify({ topic, qos, retain, publisher, origin, ...rest }))
  const length = Buffer.alloc(2)
  length.writeUInt16BE(header.length)
  return Buffer.concat([length, header, message.payload])
}

function decodeMessage(bytes: Uint8Array) {
  const buffer = Buffer.from(bytes)
  const end = 2 + (buffer.length < 2 ? 0 : buffer.readUInt16BE(0))
  const { retained, packetId, qos, ...header } = decodeJson(buffer.toString('utf8', 2, end), messageHeader, 'message')
  const message = new Message({ ...header, qos: qos === 1 ? 1 : 0, payload: buffer.subarray(end) })
  return { message, retained: retained ?? false, packetId }
}

function encodeOutgoing({ message, retained, packetId }: Outgoing): Buffer {
  return encodeMessage(message, { retained, ...(packetId !== undefined && { packetId }) })
}

function decodeOutgoing(bytes: Uint8Array, order: number): Outgoing {
  return { ...decodeMessage(bytes), order }
}

function reading<T>(key: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    throw new BrokerError('STORE_CORRUPT', `${JSON.stringify(key)} cannot be read: ${error.message}`, { cause: error })
  }
}
