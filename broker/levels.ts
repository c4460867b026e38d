import type { MqttVersion, Transport } from '#protocol'
import type { Hub } from './hub.js'
import { versionOf } from './wire/packet.js'

/** A number for each way to speak with us. */
export type ByWay = Readonly<Record<MqttVersion, Readonly<Record<Transport, number>>>>

/** How much there is at one moment. */
export interface Levels {
  /** Sessions with a connection. */
  readonly connections: ByWay
  /** Connected or kept. */
  readonly sessions: number
  readonly subscriptions: number
  /** Waiting for sessions that are away or slow. */
  readonly queuedMessages: number
  readonly queuedBytes: number
  /** Sent and not acknowledged. */
  readonly inflightMessages: number
  /** Those of devices. */
  readonly retainedMessages: number
}

/** Counts what there is; looks at every session, so it is for those who ask now and then. */
export function levelsOf(hub: Hub): Levels {
  const connections = { '3.1.1': { tls: 0, websocket: 0 }, '5': { tls: 0, websocket: 0 } }
  let [sessions, subscriptions, queuedMessages, queuedBytes, inflightMessages] = [0, 0, 0, 0, 0]
  for (const session of hub.sessions) {
    sessions++
    subscriptions += session.subscriptions.size
    queuedMessages += session.queue.size
    queuedBytes += session.queue.bytes
    inflightMessages += session.inflight.size
    if (session.link) connections[versionOf(session.link.level)][session.link.over]++
  }
  const retainedMessages = hub.retained.size - hub.retained.sizeOf(undefined)
  return { connections, sessions, subscriptions, queuedMessages, queuedBytes, inflightMessages, retainedMessages }
}

export function countConnections(connections: ByWay): number {
  return Object.values(connections).reduce((sum, { tls, websocket }) => sum + tls + websocket, 0)
}
