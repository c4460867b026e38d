import type { Decision } from '#protocol'
import { decide } from './decision.js'
import type { Hub } from './hub.js'
import { routeUnlessRevoked } from './pending-publish.js'
import { messageOf, recordPublish, reserved, withinQuota } from './publish.js'
import type { Rights, Session } from './session.js'
import { isSystemTopic } from './system-topics.js'
import type { Will } from './wire/packet.js'

/** Asked at CONNECT, where a refusal refuses the connection, and again when the will is to be published. */
export function judgeWill(rights: Rights, { topic, qos, retain, payload }: Will): Decision {
  if (isSystemTopic(topic)) return reserved(rights)
  return decide(rights.version, () => rights.will({ topic, qos, retain, size: payload.length }))
}

/** Keeps the will of a connection that begins, also over a crash: it is for the moment in which nobody is left to speak. */
export function keepWill(hub: Hub, session: Session, will: Will | undefined): void {
  if (session.will) hub.store.deleteWill(session)
  session.will = will
  session.willDueAt = undefined
  if (will) hub.store.putWill(session, will)
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
  if (seconds === 0) fireWill(hub, session)
  else session.willDueAt = hub.now() + seconds * 1000
}

/** Publishes the session's will by the rights of now; never for a device that was revoked. */
export function fireWill(hub: Hub, session: Session): void {
  const { will, device } = session
  if (!will) return
  session.will = undefined
  session.willDueAt = undefined
  const rights = hub.revoked.has(device) ? undefined : hub.rightsOf(device)
  if (!rights) {
    hub.store.deleteWill(session)
    return
  }
  const decision = withinQuota(hub, session, will, judgeWill(rights, will))
  const sequence = recordPublish(hub, session, 'will', will, decision)
  const message = decision.effect === 'allow' ? messageOf(hub, session, will, sequence) : undefined
  hub.trail.after(sequence, () => {
    // In one commit with the queues that it goes to; the client may be back meanwhile, with another will.
    if (!hub.sessions.get(session.clientId)?.will) hub.store.deleteWill(session)
    if (message) routeUnlessRevoked(hub, session, message)
  })
}
