import type { LiveSession } from '#policy'
import type { Session } from './session.js'

/** A session as a policy that could come asks about it; `siblings`: the sessions of its device, oldest first. */
export function liveSession(session: Session, siblings: readonly Session[]): LiveSession {
  const { name, device, clientId, address, link, subscriptions, will } = session
  return {
    ...{ session: name, device, clientId, from: address },
    place: link ? siblings.filter(({ link }) => link).indexOf(session) : undefined,
    subscriptions: subscriptions.values(),
    will: will && { topic: will.topic, qos: will.qos, retain: will.retain, size: will.payload.length },
  }
}
