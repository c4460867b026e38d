import type { Hub } from './hub.js'
import type { Message } from './message.js'
import type { Session } from './session.js'
import type { Silenced } from './speaker.js'

/**
 * What a device has said, its record being answerable: to everyone who subscribed to it; or, where the device was
 * silenced while it waited, to nobody, on record. Returns how many it reached.
 */
export function routeUnlessSilenced(
  hub: Hub,
  session: Session,
  action: 'publish' | 'will',
  message: Message,
  silenced: Silenced | undefined,
): number {
  if (silenced === undefined) return hub.route(message)
  hub.trail.recordIfPossible({
    event: 'message.publish',
    ...session.facts(),
    topic: message.topic,
    decision: 'deny',
    reason: silenced,
    rules: [],
    policyVersion: session.rights.version,
    action,
    qos: message.qos,
    retain: message.retain,
    dup: false,
    size: message.payload.length,
    recipients: 0,
  })
  return 0
}
