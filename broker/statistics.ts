import type { DenyReason, MqttVersion, SessionEndReason, TopicAction, Transport } from '#protocol'
import type { Qos } from './wire/packet.js'
import type { SilenceReason } from './speaker.js'

/** One in so many decisions about an action is timed, so that looking at the clock costs the others nothing. */
const timedEvery = 64

/** How many of each kind there were; the kinds are words of ours, never a peer's. */
export class Tally<Kind extends string> {
  readonly #counts = new Map<Kind, number>()

  add(kind: Kind, count = 1): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + count)
  }

  get sum(): number {
    let sum = 0
    for (const count of this.#counts.values()) sum += count
    return sum
  }

  [Symbol.iterator](): IterableIterator<[Kind, number]> {
    return this.#counts.entries()
  }
}

/** What the decisions about one action came to. */
export interface DecisionCounts {
  allow: number
  readonly deny: Tally<DenyReason | SilenceReason>
}

/**
 * What the broker has done since it was opened, in plain numbers that only grow: whoever wants rates or graphs reads
 * them and does the rest. No device is told apart here.
 */
export class Statistics {
  /** CONNECTs that were answered with success. */
  readonly connects: Readonly<Record<MqttVersion, Record<Transport, number>>> = {
    '3.1.1': { tls: 0, websocket: 0 },
    '5': { tls: 0, websocket: 0 },
  }
  /** Connections that never became a session, by the reason of their session.refuse record. */
  readonly refusals = new Tally<string>()
  /** Connections of sessions that have ended. */
  readonly ends = new Tally<SessionEndReason>()
  /** PUBLISH packets by QoS. */
  readonly messagesIn: Record<Qos, number> = { 0: 0, 1: 0, 2: 0 }
  readonly messagesOut: Record<Qos, number> = { 0: 0, 1: 0, 2: 0 }
  /** All that is said after TLS, packets of every kind. */
  bytesIn = 0
  bytesOut = 0
  /** Messages that sessions have lost, by the reason of their message.drop record. */
  readonly drops = new Tally<string>()
  /** As they stand in the log; what is refused again and again is counted here every time. */
  readonly decisions: Readonly<Record<TopicAction, DecisionCounts>> = {
    publish: { allow: 0, deny: new Tally() },
    will: { allow: 0, deny: new Tally() },
    subscribe: { allow: 0, deny: new Tally() },
    receive: { allow: 0, deny: new Tally() },
  }
  /** Told how long some of the decisions took. */
  onDecisionTime: ((action: TopicAction, seconds: number) => void) | undefined
  readonly #milliseconds: () => number
  /** For each action apart: they come in turns, and one of them must not take the turns of another. */
  readonly #untilTimed: Record<TopicAction, number> = { publish: 0, will: 0, subscribe: 0, receive: 0 }

  /** The clock is for measuring only; it need not know the time of day. */
  constructor(milliseconds: () => number = () => performance.now()) {
    this.#milliseconds = milliseconds
  }

  /** When a decision that is to be timed begins; undefined for most of them. Two calls and no closure: it is asked for every message. */
  beginDecision(action: TopicAction): number | undefined {
    if (this.onDecisionTime === undefined || this.#untilTimed[action]-- > 0) return undefined
    this.#untilTimed[action] = timedEvery - 1
    return this.#milliseconds()
  }

  endDecision(action: TopicAction, begun: number | undefined): void {
    if (begun !== undefined) this.onDecisionTime?.(action, (this.#milliseconds() - begun) / 1000)
  }
}
