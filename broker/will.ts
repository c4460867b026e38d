import type { Decision } from '#protocol'
import { decide } from './decision.js'
import type { Hub } from './hub.js'
import { Message } from './message.js'
import type { Will } from './packet.js'
import { recordPublish, routeUnlessRevoked, withinQuota } from './publish.js'
import type { Rights, Session } from './session.js'

/** Asked at CONNECT, where a refusal refuses the connection, and again when the will is to be published. */
export function judgeWill(rights: Rights, will: Will): Decision {
  const { topic, qos, retain, payload } = will
  if (qos === 2) return { effect: 'deny', reason: 'qos', rules: [], policyVersion: rights.version }
  return decide(rights.version, () => rights.will({ topic, qos, retain, size: payload.length }))
}

/** Publishes the session's will (MQTT 3.1.1 §3.1.2.5), by the rights of now; never for a device that was revoked. */
export function fireWill(hub: Hub, session: Session): void {
  const { will } = session
  session.will = undefined
  if (!will || hub.revoked.has(session.device)) return
  const rights = hub.rightsOf(session.device)
  if (!rights) return
  const decision = withinQuota(hub, session, will, judgeWill(rights, will))
  const sequence = recordPublish(hub, session, 'will', will, decision)
  if (decision.effect === 'deny' || will.qos === 2) return
  const message = new Message({ ...will, qos: will.qos, publisher: session.device, origin: sequence })
  hub.trail.after(sequence, () => routeUnlessRevoked(hub, session, message))
}
