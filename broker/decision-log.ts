import type { DeviceId, SessionEvent, TopicAction } from '#protocol'
import type { BrokerLimits } from './limits.js'
import type { Session } from './session.js'
import type { Statistics } from './statistics.js'
import type { Trail } from './trail.js'

/**
 * What was decided about a publish, a subscription or a delivery. Its place in the session is filled in when it is
 * recorded, which not every one is: so one object serves, made in one go and never copied, for what happens to every
 * message twice.
 */
export type Decided = Extract<SessionEvent, { readonly decision: 'allow' | 'deny' }> & { sessionIndex: number }

/** Stands in for {@link Decided.sessionIndex} until then. */
export const unplaced = -1

interface DecisionLogOptions {
  readonly trail: Trail
  readonly statistics: Statistics
  readonly limits: BrokerLimits
  /** Milliseconds since 1970: when a session was refused something. */
  readonly now: () => number
  /** Milliseconds by a clock that nobody sets: whether a window has passed. */
  readonly elapsed: () => number
}

interface Window {
  readonly denial: Decided
  /** Of its first record. */
  readonly sequence: number
  readonly since: number
  /** How many came after the first. */
  more: number
}

/**
 * Every permission is a record. To be refused costs a device nothing, so refusals must not fill the log: the first of a
 * session, reason and topic is recorded at once, those that follow within a window of time together as one record with
 * their exact number.
 */
export class DecisionLog {
  readonly #trail: Trail
  readonly #statistics: Statistics
  readonly #limits: BrokerLimits
  readonly #now: () => number
  readonly #elapsed: () => number
  readonly #windows = new Map<Session, Map<string, Window>>()
  readonly #topics = new Map<DeviceId, number>()
  #topicsSince: number

  constructor({ trail, statistics, limits, now, elapsed }: DecisionLogOptions) {
    this.#trail = trail
    this.#statistics = statistics
    this.#limits = limits
    this.#now = now
    this.#elapsed = elapsed
    this.#topicsSince = elapsed()
  }

  /** Returns the sequence number of the record that speaks of it, and commits to its payload; an answer waits for that one. */
  record(session: Session, decided: Decided, payload?: Uint8Array): number {
    this.#tally(session, decided)
    if (decided.decision === 'allow') return this.#append(session, decided, payload)
    const kind = `${decided.event} ${decided.reason ?? ''} ${decided.policyVersion}`
    const apart = `${kind} ${decided.topic}`
    if (this.#windows.get(session)?.has(apart) || this.#spendTopic(session.device)) {
      return this.#count(session, apart, decided, payload)
    }
    return this.#count(session, kind, { ...decided, topic: '' }, payload)
  }

  /**
   * What was decided before and is decided anew, because the rights have changed. Each is a record of its own, for it is
   * our doing and not the device's; and it acts whether it can be recorded or not.
   */
  recordAnew(session: Session, decided: Decided): void {
    this.#tally(session, decided)
    decided.sessionIndex = session.takeIndex()
    this.#trail.recordIfPossible(decided)
  }

  /** Records what the windows of a session have counted: it ends. */
  flush(session: Session): void {
    for (const window of this.#windows.get(session)?.values() ?? []) this.#close(session, window)
    this.#windows.delete(session)
  }

  /** Records what the windows that have passed have counted; called every now and then, and with `all` at the end. */
  sweep({ all = false } = {}): void {
    for (const [session, windows] of this.#windows) {
      for (const [key, window] of windows) {
        if (!all && this.#isOpen(window.since)) continue
        windows.delete(key)
        this.#close(session, window)
      }
      if (windows.size === 0) this.#windows.delete(session)
    }
  }

  /** For those who look at the service, and at the session. */
  #tally(session: Session, decided: Decided): void {
    const action = actionOf(decided)
    const counts = this.#statistics.decisions[action]
    if (decided.decision === 'allow') {
      counts.allow++
      return
    }
    const { topic, reason = 'internal' } = decided
    counts.deny.add(reason)
    session.lastRefusal = { at: this.#now(), action, topic, reason }
  }

  #count(session: Session, key: string, denial: Decided, payload: Uint8Array | undefined): number {
    let windows = this.#windows.get(session)
    if (!windows) this.#windows.set(session, (windows = new Map<string, Window>()))
    const window = windows.get(key)
    if (window) {
      window.more++
      return window.sequence
    }
    const sequence = this.#append(session, denial, payload)
    windows.set(key, { denial, sequence, since: this.#elapsed(), more: 0 })
    return sequence
  }

  #append(session: Session, decided: Decided, payload: Uint8Array | undefined): number {
    decided.sessionIndex = session.takeIndex()
    return this.#trail.record(decided, payload)
  }

  #close(session: Session, { denial, more }: Window): void {
    if (more > 0) this.#trail.recordIfPossible({ ...denial, ...session.facts(), count: more })
  }

  /** The budget is the device's, so that a new session does not bring a new one. */
  #spendTopic(device: DeviceId): boolean {
    if (!this.#isOpen(this.#topicsSince)) {
      this.#topics.clear()
      this.#topicsSince = this.#elapsed()
    }
    const spent = this.#topics.get(device) ?? 0
    if (spent >= this.#limits.maxRefusedTopicsPerDevice) return false
    this.#topics.set(device, spent + 1)
    return true
  }

  #isOpen(since: number): boolean {
    return this.#elapsed() - since < this.#limits.refusalWindowSeconds * 1000
  }
}

function actionOf(decided: Decided): TopicAction {
  switch (decided.event) {
    case 'message.publish':
      return decided.action
    case 'message.subscribe':
      return 'subscribe'
    case 'message.deliver':
      return 'receive'
  }
}
