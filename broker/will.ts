import type { Decision } from '#protocol'
import { decide } from './decision.js'
import type { Hub } from './hub.js'
import { routeUnlessSilenced } from './pending-publish.js'
import { mayHearAnswers, messageOf, recordPublish, reserved, unanswerable, withinQuota } from './publish.js'
import type { Rights } from './rights.js'
import type { Session } from './session.js'
import { isSystemTopic } from './system-topics.js'
import type { Will } from './wire/packet.js'

/** Asked at CONNECT, where a refusal refuses the connection, and again when the will is to be published. */
export function judgeWill(rights: Rights, { topic, qos, retain, payload, properties }: Will): Decision {
  if (isSystemTopic(topic)) return reserved(rights)
  if (!mayHearAnswers(rights, properties)) return unanswerable(rights)
  return decide(rights.version, () => rights.will({ topic, qos, retain, size: payload.length }))
}

/**
 * Keeps the will of a connection that begins, also over a crash: it is for the moment in which nobody is left to speak.
 * Where the one of the connection before is on its way, the place in the store is still that one's, see {@link fireWill}.
 */
export function keepWill(hub: Hub, session: Session, will: Will | undefined): void {
  const isPlaceFree = !hub.speaking.has(session.clientId)
  if (session.will && isPlaceFree) hub.store.deleteWill(session)
  session.will = will
  session.willDueAt = undefined
  if (will && isPlaceFree) hub.store.putWill(session, will)
}

/** Runs the action when no will of the client is on its way any more; mostly at once. */
export function afterSpeaking(hub: Hub, { clientId }: Session, action: () => void): void {
  const speaking = hub.speaking.get(clientId)
  if (speaking === undefined) action()
  else hub.trail.after(speaking, action)
}

/** The client has said goodbye, is back in time, or has lost the device's voice. */
export function dropWill(hub: Hub, session: Session): void {
  keepWill(hub, session, undefined)
}

/** The connection has gone without a word: publishes its will, or lets it wait for its delay (MQTT 5.0 §3.1.3.2.2). */
export function awaitWill(hub: Hub, session: Session): void {
  const { will, expirySeconds } = session
  if (!will) return
  const seconds = Math.min(will.delaySeconds, expirySeconds) // whichever comes first [MQTT-3.1.2-8]
  session.willDueAt = hub.now() + seconds * 1000
  if (seconds === 0) fireWill(hub, session)
}

/**
 * Publishes the session's will by the rights of now; never for a device that was silenced. Where it cannot be recorded it
 * stays due.
 */
export function fireWill(hub: Hub, session: Session): void {
  const { will, device, address } = session
  if (!will) return
  const rights = hub.silenced.has(device) ? undefined : hub.rightsOf(device, address)
  if (!rights) {
    dropWill(hub, session)
    return
  }
  const decision = withinQuota(hub, session, will, judgeWill(rights, will))
  const sequence = recordPublish(hub, session, 'will', will, decision)
  session.will = undefined
  session.willDueAt = undefined
  const message = decision.effect === 'allow' ? messageOf(hub, session, will, sequence) : undefined
  hub.speaking.set(session.clientId, sequence)
  hub.trail.after(sequence, () => {
    if (hub.speaking.get(session.clientId) === sequence) hub.speaking.delete(session.clientId)
    // In one commit with the queues that it goes to: before, a crash lets it speak again; after, it has spoken.
    leavePlace(hub, session)
    if (message) routeUnlessSilenced(hub, session, message, rights)
  })
}

/** To nobody, or to the will of a connection that has begun meanwhile. */
function leavePlace(hub: Hub, { clientId }: Session): void {
  const next = hub.sessions.get(clientId)
  if (next?.will) hub.store.putWill(next, next.will)
  else hub.store.deleteWill({ clientId })
}
