import { attempt, discardAfterWill, expire, relieve } from './ending.js'
import type { Hub } from './hub.js'
import type { Session } from './session.js'
import { fireWill } from './will.js'

/** What the passing of time does to all that connections share: counted refusals are recorded, and what has waited long enough goes. */
export function sweep(hub: Hub): void {
  hub.refusals.sweep()
  hub.decisions.sweep()
  hub.retained.sweep()
  hub.rightsTerm.sweep()
  if (hub.crowded) relieve(hub) // what a start has found, or what was waiting when connections ended
  for (const session of hub.sessions) {
    hub.delivery.dropExpired(session)
    hub.drops.recordCounted(session)
    if (session.link) session.sweepAnswers()
    else sweepAway(hub, session)
  }
}

/** Wills that have waited long enough speak; sessions that have, end. */
function sweepAway(hub: Hub, session: Session): void {
  const { elapsed } = hub
  if (session.willDueAt !== undefined && session.willDueAt <= elapsed()) attempt(() => fireWill(hub, session))
  if (!session.persistent) discardAfterWill(hub, session)
  else if (session.isOver(elapsed()) && !session.will) expire(hub, session, 'expired')
}
