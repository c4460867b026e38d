import type { DeviceId } from '#protocol'
import type { Connection } from './connection.js'
import type { Hub } from './hub.js'
import type { SilenceReason } from './publishers.js'
import type { Session } from './session.js'
import { dropWill } from './will.js'

/** What was done to keep somebody out. */
export interface Ended {
  /** Connections. */
  readonly sessions: number
  /** Queued and retained messages. */
  readonly purged: number
}

/**
 * Takes the voice and ears of devices. When this returns, no message of theirs is delivered any more and none to them:
 * their connections are gone, their wills are dropped, what they published and what has not reached a socket is taken
 * back from everyone's queues, and their own sessions and retained messages no longer exist. The store follows. All in
 * one pass over what there is, however many devices they are.
 */
export function silence(
  hub: Hub,
  connections: Iterable<Connection>,
  devices: ReadonlySet<DeviceId>,
  reason: SilenceReason,
): Ended {
  if (devices.size === 0) return { sessions: 0, purged: 0 }
  for (const device of devices) hub.silenced.set(device, reason)
  const own = [...connections].filter(({ identity, closed }) => identity && devices.has(identity.deviceId) && !closed)
  for (const connection of own) end(connection, reason)
  let purged = 0
  for (const device of devices) {
    purged += hub.retained.removeOf(device)
    for (const session of hub.sessions.of(device)) purged += forget(hub, session, reason)
  }
  const publishers = new Set<string>(devices)
  for (const session of hub.sessions) purged += hub.delivery.removeOf(session, publishers, reason)
  return { sessions: own.length, purged }
}

/**
 * Ends connections that would not be let in again because of a lock: the device may have others elsewhere, which stay.
 * What these have said and what waits for them goes with them.
 */
export function turnOut(hub: Hub, connections: Iterable<Connection>): Ended {
  let [sessions, purged] = [0, 0]
  const publishers = new Set<string>()
  for (const connection of [...connections]) {
    const { identity, session, closed, address } = connection
    if (closed || !identity) continue
    const admission = hub.admissionOf(identity, address)
    if (admission.admitted || admission.reason !== 'locked') continue
    end(connection, 'locked')
    sessions++
    publishers.add(identity.deviceId)
    purged += hub.retained.removeOf(identity.deviceId)
    if (session) purged += forget(hub, session, 'locked')
  }
  if (publishers.size > 0)
    for (const session of hub.sessions) purged += hub.delivery.removeOf(session, publishers, 'locked')
  return { sessions, purged }
}

/** Whatever it has said and what waits for its record goes nowhere. */
function end(connection: Connection, reason: SilenceReason): void {
  if (connection.session) connection.session.silenced = reason
  connection.close(reason)
}

/** Returns how many messages went with it. */
function forget(hub: Hub, session: Session, reason: SilenceReason): number {
  const { pending } = session
  session.silenced = reason
  dropWill(hub, session)
  hub.discard(session)
  return pending
}
