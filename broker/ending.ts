import type { SessionEndReason } from '#protocol'
import type { Connection } from './connection.js'
import type { Hub } from './hub.js'
import type { Session } from './session.js'
import { awaitWill, dropWill, fireWill } from './will.js'

/** Ends in which who was connected has lost the device's voice. */
const withoutVoice: readonly SessionEndReason[] = ['revoked', 'locked', 'superseded']

/** A connection has ended: its session goes with it, or waits for the next one. Happens whether it can be recorded or not. */
export function endConnection(
  hub: Hub,
  connection: Connection,
  reason: SessionEndReason,
  comment: string | undefined,
): void {
  const { session, opening } = connection
  const commented = comment === undefined ? {} : { comment }
  if (session || opening) hub.statistics.ends.add(reason)
  if (session) {
    endLink(hub, session, reason, commented)
  } else if (opening) {
    hub.trail.recordIfPossible({ event: 'session.end', ...opening, sessionIndex: 1, reason, ...commented })
  } else if (reason !== 'shutdown') {
    refuseConnection(hub, connection, connection.refusal ?? { reason, ...commented })
  }
}

/** Ends a session together with its state, whether it is connected or not. */
export function expire(hub: Hub, session: Session, reason: SessionEndReason): void {
  if (session.link) {
    session.link.close(reason)
  } else {
    hub.decisions.flush(session)
    hub.trail.recordIfPossible({ event: 'session.end', ...session.facts(), reason })
  }
  if (hub.sessions.get(session.clientId) === session) conclude(hub, session)
}

/** A session that cannot keep up loses itself, never the others: what waited for it, and then its place. */
export function overflow(hub: Hub, session: Session): void {
  hub.drops.record(session, 'queue_full', session.pending)
  expire(hub, session, session.link ? 'slow' : 'quota')
}

/** More is kept for all sessions together than may be: those that hold the most lose themselves, and no one else. */
export function relieve(hub: Hub): void {
  const { held, limits } = hub
  const enough = limits.maxHeldBytes * afterMakingRoom
  const heaviestFirst = [...hub.sessions].sort((one, other) => other.heldBytes - one.heldBytes)
  for (const session of heaviestFirst) {
    if (held.bytes <= enough || session.heldBytes === 0) return
    overflow(hub, session)
  }
}

/** Not at the bound itself, for to look for the heaviest is no work for every message. */
const afterMakingRoom = 7 / 8

/** The session is over, and with it the time that its will could still wait (MQTT 5.0 §3.1.3.2.2). */
export function conclude(hub: Hub, session: Session): void {
  attempt(() => fireWill(hub, session))
  hub.discard(session)
}

function endLink(hub: Hub, session: Session, reason: SessionEndReason, commented: { readonly comment?: string }): void {
  session.end(hub)
  hub.options.heard?.(session.device)
  hub.drops.recordCounted(session)
  hub.decisions.flush(session)
  if (withoutVoice.includes(reason)) dropWill(hub, session)
  else if (reason !== 'shutdown') attempt(() => awaitWill(hub, session))
  hub.delivery.replays.end(session)
  if (hub.sessions.get(session.clientId) !== session) return // it could not hold what it was still to be given
  hub.trail.recordIfPossible({ event: 'session.end', ...session.facts(), reason, ...commented })
  if (session.persistent) hub.store.putSession(session)
  // What is left of a session at shutdown, its will, waits in the store for the next start (MQTT 3.1.1 §3.1.2.5).
  else if (reason !== 'shutdown') discardAfterWill(hub, session)
}

/** A will that cannot be recorded yet keeps the session, for nothing else. */
export function discardAfterWill(hub: Hub, session: Session): void {
  if (session.will) hub.unsubscribe(session)
  else hub.discard(session)
}

/** Where the log takes no more records nothing may be published; what ends, ends all the same. */
export function attempt(publish: () => void): void {
  try {
    publish()
  } catch {
    // The will stays in the store, and is published after the next start.
  }
}

function refuseConnection(
  hub: Hub,
  { address, identity, clientId }: Connection,
  why: { readonly reason: string; readonly comment?: string },
): void {
  hub.refusals.record({
    peer: address,
    reason: why.reason,
    ...(why.comment !== undefined && { comment: why.comment }),
    ...(identity && { device: identity.deviceId, serial: identity.serial }),
    ...(clientId !== undefined && { clientId }),
  })
}
