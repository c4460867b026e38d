import type { SessionEndReason } from '#protocol'
import type { Connection } from './connection.js'
import type { Hub } from './hub.js'
import type { Session } from './session.js'
import { fireWill } from './will.js'

/** Ends in which the client or the service said goodbye, or in which who was connected has lost the device's voice. */
const withoutWill: readonly SessionEndReason[] = ['client', 'revoked', 'superseded', 'shutdown']

/** A connection has ended: its session goes with it, or waits for the next one. Happens whether it can be recorded or not. */
export function endConnection(
  hub: Hub,
  connection: Connection,
  reason: SessionEndReason,
  comment: string | undefined,
): void {
  const { session, opening } = connection
  const commented = comment === undefined ? {} : { comment }
  if (session) {
    endSession(hub, session, reason, commented)
  } else if (opening) {
    hub.trail.recordIfPossible({ event: 'session.end', ...opening, sessionIndex: 1, reason, ...commented })
  } else if (reason !== 'shutdown') {
    refuseConnection(hub, connection, connection.refusal ?? { reason, ...commented })
  }
}

function endSession(
  hub: Hub,
  session: Session,
  reason: SessionEndReason,
  commented: { readonly comment?: string },
): void {
  session.end(hub.now())
  hub.delivery.recordDrops(session)
  hub.decisions.flush(session)
  if (!withoutWill.includes(reason)) tryFireWill(hub, session)
  session.will = undefined
  hub.trail.recordIfPossible({ event: 'session.end', ...session.facts(), reason, ...commented })
  if (session.clean) hub.discard(session)
  else hub.store.putSession(session)
}

function tryFireWill(hub: Hub, session: Session): void {
  try {
    fireWill(hub, session)
  } catch {
    // The log takes no more records, so nothing may be published; the session ends all the same.
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
