import type { DeviceId } from '#protocol'
import type { Connection } from './connection.js'
import type { Hub } from './hub.js'
import type { Session } from './session.js'
import type { Publishers, SilenceReason, Speaker } from './speaker.js'
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
 * back from everyone's queues and from before the log, and their own sessions and retained messages no longer exist. The
 * store follows. All in one pass over what there is, however many devices they are.
 */
export function silence(
  hub: Hub,
  connections: Iterable<Connection>,
  devices: ReadonlySet<DeviceId>,
  reason: SilenceReason,
): Ended {
  if (devices.size === 0) return { sessions: 0, purged: 0 }
  for (const device of devices) hub.keptOut.add(device)
  const sessions = close(connections, ({ device }) => devices.has(device), reason)
  hub.trail.silence(({ device }) => (devices.has(device) ? reason : undefined))
  let purged = 0
  for (const device of devices) for (const session of hub.sessions.of(device)) purged += purge(hub, session)
  return { sessions, purged: purged + takeBack(hub, devices, reason) }
}

/**
 * The same for whoever would not be let in again because of a lock on where it is, or on its certificate; of who is away,
 * on where it was last. The device may have other sessions elsewhere, which stay; what it has said goes with these.
 * `only`: nobody else need be looked at.
 */
export function turnOut(hub: Hub, connections: Iterable<Connection>, only?: DeviceId): Ended {
  const isOnRecord = lockedAmong(hub)
  const isLocked = (speaker: Speaker) => (only === undefined || speaker.device === only) && isOnRecord(speaker)
  const devices = new Set<DeviceId>()
  const turnsOut = (speaker: Speaker): boolean => {
    if (isLocked(speaker)) devices.add(speaker.device)
    return isLocked(speaker)
  }
  const sessions = close(connections, turnsOut, 'locked')
  let purged = 0
  for (const session of hub.sessions) if (turnsOut(session)) purged += purge(hub, session)
  hub.trail.silence((speaker) => (devices.has(speaker.device) || isLocked(speaker) ? 'locked' : undefined))
  return { sessions, purged: purged + takeBack(hub, devices, 'locked') }
}

/** What these devices have said with their own rights, and what waits for its record, is never heard. They stay. */
export function holdBack(hub: Hub, devices: ReadonlySet<DeviceId>): void {
  if (devices.size === 0) return
  hub.trail.silence(({ device }, { quarantined }) => (devices.has(device) && !quarantined ? 'quarantined' : undefined))
}

/** Asks once for each certificate and address. */
function lockedAmong(hub: Hub): (speaker: Speaker) => boolean {
  const asked = new Map<string, boolean>()
  return (speaker) => {
    const key = `${speaker.device} ${speaker.certificate} ${speaker.address}`
    const known = asked.get(key)
    if (known !== undefined) return known
    const standing = hub.standingOf(speaker)
    const isLocked = !standing.admitted && standing.reason === 'locked'
    asked.set(key, isLocked)
    return isLocked
  }
}

/** Returns how many there were. */
function close(connections: Iterable<Connection>, ends: (speaker: Speaker) => boolean, reason: SilenceReason): number {
  const own = [...connections].filter(({ closed, speaker }) => !closed && speaker && ends(speaker))
  for (const connection of own) connection.close(reason)
  return own.length
}

/** A session with its will and all that waits for it. Returns how many messages that were. */
function purge(hub: Hub, session: Session): number {
  const { pending } = session
  dropWill(hub, session)
  hub.discard(session)
  return pending
}

/** What devices have said and nobody has got yet. Returns how many messages that were. */
function takeBack(hub: Hub, devices: ReadonlySet<DeviceId>, reason: SilenceReason): number {
  if (devices.size === 0) return 0
  let purged = 0
  for (const device of devices) purged += hub.retained.removeOf(device)
  const publishers: Publishers = new Set<string>(devices)
  for (const session of hub.sessions) purged += hub.delivery.removeOf(session, publishers, reason)
  return purged
}
