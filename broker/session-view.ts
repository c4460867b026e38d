import type { SessionView } from '#protocol'
import type { Session } from './session.js'

/** A session as operators see it. */
export function viewSession(session: Session): SessionView {
  return {
    session: session.name,
    device: session.device,
    clientId: session.clientId,
    connected: session.link !== undefined,
    since: new Date(session.since).toISOString(),
    peer: session.link?.peer ?? '',
    subscriptions: [...session.subscriptions.values()].map(({ name, qos }) => ({ filter: name, qos })),
    ...{ rates: none, messages: none, bytes: none },
    queued: session.pending,
    queuedBytes: session.queue.bytes,
  }
}

const none = { in: 0, out: 0 }
