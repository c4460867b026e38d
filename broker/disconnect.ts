import type { Connection } from './connection.js'
import { BrokerError } from './errors.js'
import type { Hub } from './hub.js'
import type { Session } from './session.js'
import { dropWill } from './will.js'
import type { DisconnectPacket } from './wire/packet.js'
import { reasonCodes } from './wire/reason-codes.js'

/** MQTT 5.0 §3.14: the client goes, and may change how long its session is kept. @throws BrokerError PROTOCOL_VIOLATION */
export function handleDisconnect(hub: Hub, connection: Connection, session: Session, packet: DisconnectPacket): void {
  const { sessionExpirySeconds, reasonCode } = packet
  if (sessionExpirySeconds !== undefined) changeExpiry(hub, session, sessionExpirySeconds)
  if (reasonCode === reasonCodes.success) dropWill(hub, session) // [MQTT-3.14.4-3]
  connection.close('client', undefined, { flush: true })
}

/** A session that was to end with its connection cannot be kept after all (§3.14.2.2.2). */
function changeExpiry(hub: Hub, session: Session, seconds: number): void {
  if (!session.persistent && seconds > 0) {
    throw new BrokerError('PROTOCOL_VIOLATION', 'a session expiry interval above 0 after 0 in CONNECT')
  }
  if (session.persistent && seconds === 0) hub.store.deleteSession(session)
  session.expirySeconds = Math.min(seconds, hub.limits.sessionExpirySeconds)
}
