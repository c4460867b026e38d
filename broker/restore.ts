import type { DeviceId } from '#protocol'
import { momentOf } from './clocks.js'
import type { Hub } from './hub.js'
import { Message } from './message.js'
import type { Rights } from './rights.js'
import { Session } from './session.js'
import { loadRetained, loadSessions, type StoredSession } from './storage/stored.js'

/**
 * Takes up the sessions, wills and retained messages of the process before. Those of devices that are not served any
 * more go; those that cannot be read as a whole are put aside and reported: what a session promised is kept, or the
 * client learns by session present 0 that it was not.
 */
export async function restore(hub: Hub): Promise<void> {
  const { options } = hub
  for (const stored of await loadSessions(options.store, hub)) {
    const rights = stored.device === undefined ? undefined : hub.rightsOf(stored.device, stored.address)
    if (stored.problem !== undefined) await quarantine(hub, stored.keys, stored.problem, { clientId: stored.clientId })
    else if (rights && stored.device !== undefined) restoreSession(hub, stored, stored.device, rights)
    else for (const key of stored.keys) hub.store.deleteRow(key)
  }
  for await (const { key, message } of loadRetained(options.store, hub)) {
    if (!(message instanceof Message)) await quarantine(hub, [key], message.problem, {})
    else if (isServed(hub, message.publisher)) hub.restoreRetained(message)
    else hub.store.deleteRow(key)
  }
}

function restoreSession(hub: Hub, stored: StoredSession, device: DeviceId, rights: Rights): void {
  const { clientId, expirySeconds, certificate, address, will } = stored
  // Who was there until the process ended is away since now (MQTT 5.0 §3.1.2.11.2), over the next crash too.
  const since = stored.since ?? hub.now()
  const session = new Session({ clientId, device, expirySeconds, rights, certificate, address, since, among: hub })
  for (const subscription of stored.subscriptions) {
    session.subscriptions.set(subscription.name, subscription)
    hub.router.add(subscription, session)
  }
  for (const outgoing of stored.messages) {
    session.nextOrder = outgoing.order + 1
    const { packetId, message, released } = outgoing
    if (!released && !isServed(hub, message.publisher)) hub.store.deleteMessage(session, outgoing)
    else if (packetId !== undefined) session.inflight.restore(outgoing, packetId)
    else session.queue.push(outgoing)
  }
  for (const [packetId, topic] of stored.received) session.received.set(packetId, { topic, sequence: longAgo })
  if (will) {
    session.will = will
    // A server that failed may defer wills (MQTT 3.1.1 §3.1.2.5): until those who want to hear of it are back.
    session.willDueAt = hub.elapsed() + 1000 * Math.max(will.delaySeconds, hub.limits.willDeferSeconds)
  }
  hub.sessions.add(session)
  session.waitFrom(momentOf(since, hub))
  if (session.persistent && stored.since === undefined) hub.store.putSession(session)
}

/** Of what is stored the record is durable: nobody waits for it any more. */
const longAgo = -1

async function quarantine(
  hub: Hub,
  keys: readonly string[],
  problem: string,
  whose: { readonly clientId?: string },
): Promise<void> {
  const { store } = hub.options
  const rows = await Promise.all(keys.map(async (key) => [key, await store.get(key)] as const))
  // All in one turn, and so in one commit: what a crash would leave of a session could pass for a whole one.
  for (const [key, row] of rows) if (row) hub.store.quarantine(key, row)
  hub.trail.recordIfPossible({ event: 'store.quarantine', ...whose, comment: problem, count: rows.length })
}

function isServed(hub: Hub, device: DeviceId | undefined): boolean {
  return device !== undefined && hub.rightsOf(device, undefined) !== undefined
}
