import { parseShare, type TopicFilter } from '#protocol'
import type { QosDecision } from '#policy'
import type { Connection } from './connection.js'
import { decide } from './decision.js'
import { type Decided, unplaced } from './decision-log.js'
import { explainDenial, reasonCodeOf } from './denial.js'
import type { Hub } from './hub.js'
import { weightOf } from './routing/level-tree.js'
import type { Session } from './session.js'
import type { Subscription } from './subscription.js'
import { encodeSuback, encodeUnsuback } from './wire/encode.js'
import type { Qos, SubscribePacket, SubscriptionRequest, UnsubscribePacket } from './wire/packet.js'
import { type ReasonCode, reasonCodes } from './wire/reason-codes.js'

/** What became of one entry of a SUBSCRIBE. */
interface Outcome {
  readonly request: SubscriptionRequest
  readonly decision: QosDecision
  readonly granted: Subscription | undefined
}

/**
 * MQTT 5.0 §3.8. One decision, one record and one reason code per entry, repeated filters included; a refused filter is
 * stored nowhere. The subscriptions begin when their records are durable, just before SUBACK.
 */
export function handleSubscribe(hub: Hub, connection: Connection, session: Session, packet: SubscribePacket): void {
  const { requests } = packet
  const { rights } = session
  const bytes = costOf(requests.map(({ filter }) => filter))
  const outcomes: Outcome[] = []
  let last = -1

  /** As many as one turn of the event loop has room for. */
  const judgeSome = (): void => {
    const quota = new Quota(hub, session)
    for (const request of requests.slice(outcomes.length, outcomes.length + hub.limits.packetsPerTurn)) {
      const decision = quota.admits(request.filter) ? judgeInTime(hub, session, request) : refused(session, 'quota')
      const granted = decision.effect === 'allow' ? subscriptionOf(request, decision.qos, packet) : undefined
      last = hub.decisions.record(session, eventOf(session, request.filter, decision, granted?.qos))
      if (granted) {
        quota.take(granted)
        hub.filterRate.pay(session.device)
      }
      outcomes.push({ request, decision, granted })
    }
    if (outcomes.length < requests.length) return connection.goOnLater(judgeSome)
    connection.backlog.begin(bytes, outcomes.length)
    hub.trail.after(last, connection.guarded(begin))
  }

  const begin = (): void => {
    for (const { granted } of outcomes) if (granted) session.granted.delete(granted.name)
    if (!isCurrent(hub, session)) return
    const retainedTo = outcomes.flatMap(({ request, granted }) => {
      if (!granted) return []
      const isNew = !session.subscriptions.has(granted.name)
      add(hub, session, granted)
      return wantsRetained(request, granted, isNew) ? [granted] : []
    })
    if (session.rights !== rights) recheckSubscriptions(hub, session) // what was decided by the rights of before
    const answer = (): void => {
      sendSuback(connection, packet.packetId, outcomes)
      for (const subscription of retainedTo) sendRetained(hub, session, subscription)
      connection.backlog.end(bytes, outcomes.length)
    }
    hub.store.afterFlush(connection.guarded(answer))
  }
  judgeSome()
}

/** MQTT 5.0 §3.10; answered also where there was no such subscription [MQTT-3.10.4-5]. */
export function handleUnsubscribe(hub: Hub, connection: Connection, session: Session, packet: UnsubscribePacket): void {
  let sequence = -1
  for (const filter of new Set(packet.filters)) {
    // What ends nothing is no record: it costs the client three bytes.
    if (!session.subscriptions.has(filter) && !session.granted.has(filter)) continue
    hub.filterRate.pay(session.device)
    sequence = hub.trail.record({ event: 'message.unsubscribe', ...session.facts(), topic: filter })
  }
  const bytes = costOf(packet.filters)
  const end = (): void => {
    if (!isCurrent(hub, session)) return
    const reasonCodes = packet.filters.map((filter) => removeSubscription(hub, session, filter))
    const { level } = connection
    const answer = (): void => {
      connection.send(encodeUnsuback({ level, packetId: packet.packetId, reasonCodes }))
      connection.backlog.end(bytes, packet.filters.length)
    }
    hub.store.afterFlush(connection.guarded(answer))
  }
  connection.backlog.begin(bytes, packet.filters.length)
  hub.trail.after(sequence, connection.guarded(end))
}

/**
 * Holds a session's subscriptions to its rights, which have changed. What is no longer allowed ends here; quarantine alone
 * leaves them, because it passes and the client would not know to ask again: each delivery is held to the rights of then.
 */
export function recheckSubscriptions(hub: Hub, session: Session): void {
  session.holdToRights()
  hub.services.renew(session)
  if (session.rights.quarantined) return
  for (const [name, subscription] of session.subscriptions) {
    const decision = judge(session, { filter: name, qos: subscription.qos })
    const qos = decision.effect === 'allow' ? decision.qos : undefined
    if (qos === subscription.qos) continue
    hub.decisions.recordAnew(session, eventOf(session, name, decision, qos))
    if (qos === undefined) removeSubscription(hub, session, name)
    else add(hub, session, { ...subscription, qos })
  }
}

/** `qos`: the granted one, where one was. */
function eventOf(session: Session, filter: TopicFilter, decision: QosDecision, qos: Qos | undefined): Decided {
  return {
    event: 'message.subscribe',
    device: session.device,
    session: session.name,
    sessionIndex: unplaced,
    topic: filter,
    decision: decision.effect,
    reason: decision.effect === 'deny' ? decision.reason : undefined,
    rules: decision.rules,
    policyVersion: decision.policyVersion,
    qos,
  }
}

/** What it takes to keep filters until they are recorded, roughly. */
function costOf(filters: readonly TopicFilter[]): number {
  return filters.reduce((sum, { length }) => sum + length + 200, 0)
}

/** Whether the session is still there; one that ends with its connection can be gone while its packets wait. */
function isCurrent(hub: Hub, session: Session): boolean {
  return hub.sessions.get(session.clientId) === session
}

/**
 * A shared subscription is granted by its whole name, `$share/<group>/<filter>`: to hear a topic is one right, to take
 * messages away from the others of a group is another.
 */
function judge(session: Session, { filter, qos }: Pick<SubscriptionRequest, 'filter' | 'qos'>): QosDecision {
  if (!parseShare(filter).valid) return refused(session, 'invalid_share')
  const { rights } = session
  return decide(rights.version, () => rights.subscribe(filter, qos))
}

/** What policy allows must still not come too fast. What it refuses costs little: refusals are counted together. */
function judgeInTime({ filterRate }: Hub, session: Session, request: SubscriptionRequest): QosDecision {
  const decision = judge(session, request)
  const isTooFast = decision.effect === 'allow' && !filterRate.admits(session.device)
  return isTooFast ? refused(session, 'rate') : decision
}

function refused({ rights }: Session, reason: 'quota' | 'rate' | 'invalid_share'): QosDecision {
  return { effect: 'deny', reason, rules: [], policyVersion: rights.version }
}

/** Of an entry that was granted; undefined for one whose name is none. */
function subscriptionOf(
  { filter: name, qos: requested, noLocal, retainAsPublished }: SubscriptionRequest,
  allowed: Subscription['qos'],
  { subscriptionIdentifier: identifier }: SubscribePacket,
): Subscription | undefined {
  const parsed = parseShare(name)
  if (!parsed.valid) return undefined
  const { share, filter } = parsed
  const qos = allowed < requested ? allowed : requested
  return { name, share, filter, qos, noLocal, retainAsPublished, identifier, weight: weightOf(name) }
}

const maxExplained = 4

function sendSuback(connection: Connection, packetId: number, outcomes: readonly Outcome[]): void {
  // As many as fit into the words of an answer; a thousand refusals need not be told one by one.
  const told: string[] = []
  for (const { request, decision } of outcomes) {
    if (decision.effect === 'deny' && told.length < maxExplained) {
      told.push(explainDenial('subscribe', request.filter, decision))
    }
  }
  const { level } = connection
  const codes = outcomes.map(({ decision, granted }) => suback(decision, granted))
  const say = told.length > 0 ? told.join('; ') : undefined
  connection.sendExplained(say, (reasonString) => encodeSuback({ level, packetId, reasonCodes: codes, reasonString }))
}

function suback(decision: QosDecision, granted: Subscription | undefined): ReasonCode {
  if (decision.effect === 'deny') return reasonCodeOf(decision)
  return granted?.qos ?? reasonCodes.unspecifiedError
}

function add(hub: Hub, session: Session, subscription: Subscription): void {
  // A repeated filter replaces its predecessor [MQTT-3.8.4-3].
  const old = session.subscriptions.get(subscription.name)
  if (old) hub.router.remove(old, session)
  session.subscriptions.set(subscription.name, subscription)
  hub.router.add(subscription, session)
  if (session.persistent) hub.store.putSubscription(session, subscription)
}

function removeSubscription(hub: Hub, session: Session, name: TopicFilter): ReasonCode {
  const subscription = session.subscriptions.get(name)
  if (!subscription) return reasonCodes.noSubscriptionExisted
  session.subscriptions.delete(name)
  session.replays.delete(name)
  hub.router.remove(subscription, session)
  hub.services.forget(session, subscription.filter)
  if (session.persistent) hub.store.deleteSubscription(session, name)
  return reasonCodes.success
}

/** MQTT 5.0 §3.3.1.3: by the retain handling that was asked for, and never to a group that shares [MQTT-4.8.2]. */
function wantsRetained({ retainHandling }: SubscriptionRequest, { share }: Subscription, isNew: boolean): boolean {
  if (share !== undefined || retainHandling === 2) return false
  return retainHandling === 0 || isNew
}

function sendRetained({ retained, delivery, services }: Hub, session: Session, subscription: Subscription): void {
  const { name, filter } = subscription
  if (!session.subscriptions.has(name)) return // unsubscribed in the same breath
  services.repeat(session, filter)
  delivery.replay(session, subscription, retained.matching(filter))
}

/** How many different filters a device may have subscribed to, over all its sessions, by weight; those that are not recorded yet count. */
class Quota {
  readonly #session: Session
  readonly #max: number
  #used: number

  constructor(hub: Hub, session: Session) {
    this.#session = session
    this.#max = hub.limits.maxSubscriptionsPerDevice
    this.#used = hub.sessions.of(session.device).reduce((sum, one) => sum + weightOfAll(one), 0)
  }

  admits(filter: TopicFilter): boolean {
    return this.#used + weightOf(filter) <= this.#max || this.#has(filter)
  }

  take({ name, weight }: Subscription): void {
    if (this.#has(name)) return
    this.#session.granted.set(name, weight)
    this.#used += weight
  }

  #has(filter: TopicFilter): boolean {
    return this.#session.subscriptions.has(filter) || this.#session.granted.has(filter)
  }
}

function weightOfAll({ subscriptions, granted }: Session): number {
  let weight = 0
  for (const subscription of subscriptions.values()) weight += subscription.weight
  for (const one of granted.values()) weight += one
  return weight
}
