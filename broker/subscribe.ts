import type { DeviceId, TopicFilter } from '#protocol'
import type { QosDecision } from '#policy'
import type { Connection } from './connection.js'
import { decide, decisionFacts } from './decision.js'
import { encodeSuback, encodeUnsuback, subscriptionRefused } from './encode.js'
import type { Hub } from './hub.js'
import type { Qos, SubscribePacket, UnsubscribePacket } from './packet.js'
import type { Session } from './session.js'

/**
 * MQTT 3.1.1 §3.8. One decision, one record and one return code per entry, repeated filters included; a refused filter is
 * stored nowhere. The subscriptions begin when their records are durable, just before SUBACK.
 */
export function handleSubscribe(hub: Hub, connection: Connection, session: Session, packet: SubscribePacket): void {
  const quota = new Quota(hub, session.device)
  const results = packet.requests.map(({ filter, qos }) => {
    const decision = quota.admits(session, filter) ? judge(session, filter, qos) : overQuota(session)
    const granted = decision.effect === 'allow' ? lower(decision.qos, qos) : undefined
    if (granted !== undefined) quota.take(session, filter)
    const sequence = hub.decisions.record(session, {
      event: 'message.subscribe',
      topic: filter,
      ...decisionFacts(decision),
      ...(granted !== undefined && { qos: granted }),
    })
    return { filter, granted, sequence }
  })

  const begin = (): void => {
    if (!isCurrent(hub, session)) return
    for (const { filter, granted } of results) if (granted !== undefined) add(hub, session, filter, granted)
    const codes = results.map(({ granted }) => granted ?? subscriptionRefused)
    const answer = (): void => {
      connection.send(encodeSuback(packet.packetId, codes))
      for (const { filter, granted } of results) if (granted !== undefined) sendRetained(hub, session, filter, granted)
    }
    hub.store.afterFlush(connection.guarded(answer))
  }
  const last = results.reduce((latest, { sequence }) => Math.max(latest, sequence), -1)
  hub.trail.after(last, connection.guarded(begin))
}

/** MQTT 3.1.1 §3.10; answered also where there was no such subscription [MQTT-3.10.4-5]. */
export function handleUnsubscribe(hub: Hub, connection: Connection, session: Session, packet: UnsubscribePacket): void {
  let sequence = -1
  for (const filter of packet.filters) {
    sequence = hub.trail.record({ event: 'message.unsubscribe', ...session.facts(), topic: filter })
  }
  const end = (): void => {
    if (!isCurrent(hub, session)) return
    for (const filter of packet.filters) removeSubscription(hub, session, filter)
    hub.store.afterFlush(() => connection.send(encodeUnsuback(packet.packetId)))
  }
  hub.trail.after(sequence, connection.guarded(end))
}

/** Holds a session's subscriptions to its rights, which have changed. What is no longer allowed ends here. */
export function recheckSubscriptions(hub: Hub, session: Session): void {
  for (const [filter, qos] of session.subscriptions) {
    const decision = judge(session, filter, qos)
    const granted = decision.effect === 'allow' ? lower(decision.qos, qos) : undefined
    if (granted === qos) continue
    hub.trail.recordIfPossible({
      event: 'message.subscribe',
      ...session.facts(),
      topic: filter,
      ...decisionFacts(decision),
      ...(granted !== undefined && { qos: granted }),
    })
    if (granted === undefined) removeSubscription(hub, session, filter)
    else add(hub, session, filter, granted)
  }
}

/** Whether the session is still there; with clean session 0 it can be while its connection is not. */
function isCurrent(hub: Hub, session: Session): boolean {
  return hub.sessions.get(session.clientId) === session
}

function judge({ rights }: Session, filter: TopicFilter, qos: Qos): QosDecision {
  // There are no shared subscriptions here, and their names are never taken for literal ones.
  if (filter === '$share' || filter.startsWith('$share/')) {
    return { effect: 'deny', reason: 'reserved', rules: [], policyVersion: rights.version }
  }
  return decide(rights.version, () => rights.subscribe(filter, qos))
}

function overQuota({ rights }: Session): QosDecision {
  return { effect: 'deny', reason: 'quota', rules: [], policyVersion: rights.version }
}

/** QoS 2 is granted as QoS 1: a server may grant less than was asked for (MQTT 3.1.1 §3.8.4). */
function lower(granted: Qos, requested: Qos): 0 | 1 {
  return granted === 0 || requested === 0 ? 0 : 1
}

function add(hub: Hub, session: Session, filter: TopicFilter, qos: 0 | 1): void {
  session.subscriptions.set(filter, qos) // a repeated filter replaces its predecessor [MQTT-3.8.4-3]
  hub.router.add(filter, session, qos)
  if (!session.clean) hub.store.putSubscription(session, filter, qos)
}

function removeSubscription(hub: Hub, session: Session, filter: TopicFilter): void {
  if (!session.subscriptions.delete(filter)) return
  hub.router.remove(filter, session)
  if (!session.clean) hub.store.deleteSubscription(session, filter)
}

function sendRetained(hub: Hub, session: Session, filter: TopicFilter, qos: 0 | 1): void {
  for (const message of hub.retained.matching(filter)) {
    if (!session.link) return // it can end on the way, by being too slow for what it asked for
    hub.delivery.deliver(session, message, qos, true)
  }
}

/** How many different filters a device may have subscribed to, over all its sessions. */
class Quota {
  readonly #max: number
  readonly #taken = new Set<TopicFilter>()
  #used: number

  constructor(hub: Hub, device: DeviceId) {
    this.#max = hub.limits.maxSubscriptionsPerDevice
    this.#used = hub.sessions.of(device).reduce((sum, { subscriptions }) => sum + subscriptions.size, 0)
  }

  admits({ subscriptions }: Session, filter: TopicFilter): boolean {
    return subscriptions.has(filter) || this.#taken.has(filter) || this.#used < this.#max
  }

  take({ subscriptions }: Session, filter: TopicFilter): void {
    if (subscriptions.has(filter) || this.#taken.has(filter)) return
    this.#taken.add(filter)
    this.#used++
  }
}
