import type { TopicFilter, TopicName } from '#protocol'
import type { Changes, Store } from '#store'
import type { Clocks } from '../clocks.js'
import type { Message } from '../message.js'
import type { Outgoing } from '../queue.js'
import type { Received, Session } from '../session.js'
import type { Speaker } from '../speaker.js'
import type { Subscription } from '../subscription.js'
import { runAlone } from '../trail.js'
import type { Will } from '../wire/packet.js'
import { keys } from './keys.js'
import { encodeMessage, encodeOutgoing, encodeReceived, encodeSession, encodeSubscription, encodeWill } from './rows.js'

type Named = Pick<Session, 'clientId'>

/**
 * What must survive of sessions and retained messages. Changes gather while a commit is under way and go into the next
 * one together, in the order they were made: what one turn of the event loop changes is there as a whole or not at all.
 */
export class SessionStore {
  readonly #store: Store
  readonly #clocks: Clocks
  readonly #onFailure: (error: unknown) => void
  #changes = new Map<string, Uint8Array | undefined>()
  #afterNext: (() => void)[] = []
  #count = 0
  #committing = false
  #failed = false

  /** `onFailure`: nothing that was promised by a later flush will become durable any more. */
  constructor(store: Store, clocks: Clocks, onFailure: (error: unknown) => void) {
    this.#store = store
    this.#clocks = clocks
    this.#onFailure = onFailure
  }

  /** True from the first commit on that the disk has refused; no other is tried. */
  get failed(): boolean {
    return this.#failed
  }

  putSession({ clientId, device, certificate, address, link, since, expirySeconds }: Session): void {
    const key = keys.session(clientId)
    const from = { ...(certificate !== undefined && { certificate }), ...(address !== undefined && { address }) }
    this.#change(key, encodeSession(key, { device, ...from, ...(!link && { since }), expirySeconds }))
  }

  /** The session with all that belongs to it. */
  deleteSession(session: Session): void {
    this.#change(keys.session(session.clientId), undefined)
    for (const name of session.subscriptions.keys()) this.deleteSubscription(session, name)
    for (const outgoing of session.queue) this.deleteMessage(session, outgoing)
    for (const outgoing of session.inflight) this.deleteMessage(session, outgoing)
    for (const packetId of session.received.keys()) this.deleteReceived(session, packetId)
  }

  putSubscription({ clientId }: Named, subscription: Subscription): void {
    const key = keys.subscription(clientId, subscription.name)
    this.#change(key, encodeSubscription(key, subscription))
  }

  deleteSubscription({ clientId }: Named, name: TopicFilter): void {
    this.#change(keys.subscription(clientId, name), undefined)
  }

  putMessage({ clientId }: Named, outgoing: Outgoing): void {
    const key = keys.queue(clientId, outgoing.order)
    this.#change(key, encodeOutgoing(key, outgoing, this.#clocks))
  }

  deleteMessage({ clientId }: Named, { order }: Outgoing): void {
    this.#change(keys.queue(clientId, order), undefined)
  }

  putReceived({ clientId }: Named, packetId: number, received: Received): void {
    const key = keys.received(clientId, packetId)
    this.#change(key, encodeReceived(key, received))
  }

  deleteReceived({ clientId }: Named, packetId: number): void {
    this.#change(keys.received(clientId, packetId), undefined)
  }

  putWill({ clientId, device, certificate, address }: Named & Speaker, will: Will): void {
    const key = keys.will(clientId)
    this.#change(key, encodeWill(key, { device, certificate, address, will }))
  }

  deleteWill({ clientId }: Named): void {
    this.#change(keys.will(clientId), undefined)
  }

  putRetained(message: Message): void {
    const key = keys.retained(message.topic)
    this.#change(key, encodeMessage(key, message, this.#clocks))
  }

  deleteRetained(topic: TopicName): void {
    this.#change(keys.retained(topic), undefined)
  }

  /** Puts a row that cannot be read where nobody reads it and somebody can look at it. */
  quarantine(key: string, row: Uint8Array): void {
    this.#change(keys.quarantined(key), row)
    this.#change(key, undefined)
  }

  /** For rows whose owner is not served any more. */
  deleteRow(key: string): void {
    this.#change(key, undefined)
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
      for (const run of actions) runAlone({ run })
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
