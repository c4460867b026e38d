import type { Store } from '#store'
import type { DeviceId, Fingerprint, TopicName } from '#protocol'
import type { Clocks } from '../clocks.js'
import type { Message } from '../message.js'
import type { Outgoing } from '../queue.js'
import type { Subscription } from '../subscription.js'
import type { Will } from '../wire/packet.js'
import { clientPrefixes, prefixes, splitKey } from './keys.js'
import {
  decodeMessage,
  decodeOutgoing,
  decodeReceived,
  decodeSession,
  decodeSubscription,
  decodeWill,
  isCorruption,
} from './rows.js'

/** What the store holds of one client id. */
export interface StoredSession {
  readonly clientId: string
  device: DeviceId | undefined
  /** By which its client was let in last. */
  certificate: Fingerprint | undefined
  /** Where its client was last. */
  address: string | undefined
  /** When its client went; undefined where it was there until the process ended. */
  since: number | undefined
  /** 0 where only a will is left, of a session that has ended with its connection. */
  expirySeconds: number
  readonly subscriptions: Subscription[]
  /** Oldest first; those with a packet identifier were in flight. */
  readonly messages: Outgoing[]
  readonly received: (readonly [packetId: number, topic: TopicName])[]
  will: Will | undefined
  /** Of all its rows, for moving or removing them. The rows themselves would fill the memory a second time. */
  readonly keys: string[]
  /** Why it cannot be taken up again. What is left of it is not guessed at. */
  problem: string | undefined
}

/** Reads every session; those that cannot be read as a whole carry a `problem`. */
export async function loadSessions(store: Store, clocks: Clocks): Promise<readonly StoredSession[]> {
  const sessions = new Map<string, StoredSession>()
  const shared = new SharedMessages()
  for (const prefix of clientPrefixes) {
    for await (const [key, row] of store.entries(prefix)) {
      const [clientId, rest] = splitKey(key, prefix)
      const session = sessions.get(clientId) ?? emptySession(clientId)
      sessions.set(clientId, session)
      session.keys.push(key)
      attempt(session, key, () => readInto(session, shared, prefix, key, rest, row, clocks))
    }
  }
  for (const session of sessions.values()) {
    if (session.expirySeconds === 0 && !isWillAlone(session)) session.problem ??= 'rows without a session'
  }
  return [...sessions.values()]
}

/** What is left of a session that has ended with its connection. */
function isWillAlone({ will, keys }: StoredSession): boolean {
  return will !== undefined && keys.length === 1
}

export interface StoredRetained {
  readonly key: string
  readonly message: Message | { readonly problem: string }
}

export async function* loadRetained(store: Store, clocks: Clocks): AsyncIterable<StoredRetained> {
  for await (const [key, row] of store.entries(prefixes.retained)) {
    try {
      yield { key, message: decodeMessage(key, row, clocks) }
    } catch (error) {
      if (!isCorruption(error)) throw error
      yield { key, message: { problem: error.message } }
    }
  }
}

function readInto(
  session: StoredSession,
  shared: SharedMessages,
  prefix: string,
  key: string,
  rest: string,
  row: Uint8Array,
  clocks: Clocks,
): void {
  switch (prefix) {
    case prefixes.session:
      Object.assign(session, decodeSession(key, row))
      return
    case prefixes.subscription:
      session.subscriptions.push(decodeSubscription(key, rest, row))
      return
    case prefixes.queue:
      session.messages.push(shared.of(decodeOutgoing(key, Number.parseInt(rest, 16), row, clocks)))
      return
    case prefixes.received:
      session.received.push([Number(rest), decodeReceived(key, row)])
      return
    case prefixes.will: {
      Object.assign(session, decodeWill(key, row))
      return
    }
  }
}

/**
 * A message that waits for many is in memory once, before a restart and after it; in the store each queue has its own
 * copy. Without this a service that could hold its queues could not start with them.
 */
class SharedMessages {
  readonly #byOrigin = new Map<number | undefined, Message>()

  of(outgoing: Outgoing): Outgoing {
    const { message } = outgoing
    if ((message.origin ?? unrecorded) === unrecorded) return outgoing
    const known = this.#byOrigin.get(message.origin)
    if (known && isSame(known, message)) return { ...outgoing, message: known }
    this.#byOrigin.set(message.origin, message)
    return outgoing
  }
}

/** The origin of all messages whose publish went without a record: it names none of them. */
const unrecorded = -1

function isSame(one: Message, other: Message): boolean {
  return (
    one.topic === other.topic && one.publisher === other.publisher && Buffer.compare(one.payload, other.payload) === 0
  )
}

function attempt(session: StoredSession, key: string, read: () => void): void {
  try {
    read()
  } catch (error) {
    if (!isCorruption(error)) throw error
    session.problem ??= `${JSON.stringify(key)}: ${error.message}`
  }
}

function emptySession(clientId: string): StoredSession {
  return {
    clientId,
    device: undefined,
    certificate: undefined,
    address: undefined,
    since: undefined,
    expirySeconds: 0,
    subscriptions: [],
    messages: [],
    received: [],
    will: undefined,
    keys: [],
    problem: undefined,
  }
}
