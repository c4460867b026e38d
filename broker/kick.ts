import { expire } from './ending.js'
import type { Hub } from './hub.js'

/** What an operator's act against a session did. */
export interface Kicked {
  /** Whether a connection was ended. */
  readonly ended: boolean
  /** Messages that waited and are gone with the session. */
  readonly purged: number
}

/**
 * Ends a session's connection as a fault of the network would: its will speaks (MQTT 5.0 §3.1.2.5), what it subscribed
 * to is kept, and it may come back at once. With `forget` nothing is kept.
 */
export function kick(hub: Hub, clientId: string, { forget }: { readonly forget: boolean }): Kicked | undefined {
  const session = hub.sessions.get(clientId)
  if (!session) return undefined
  const ended = session.link !== undefined
  const purged = forget ? session.pending : 0
  hub.drops.record(session, 'forgotten', purged)
  if (forget) expire(hub, session, 'kicked')
  else session.link?.close('kicked')
  return { ended, purged }
}
