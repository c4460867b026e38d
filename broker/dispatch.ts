import { CodedError, messageOf } from '#protocol'
import { handleConnect, refuse } from './connect.js'
import type { Connection } from './connection.js'
import { handleDisconnect } from './disconnect.js'
import { reasonOf } from './spoken-reasons.js'
import { BrokerError } from './errors.js'
import type { Hub } from './hub.js'
import { handlePublish } from './publish.js'
import { holdToRights } from './recheck.js'
import { handlePubrel } from './release.js'
import { handleSubscribe, handleUnsubscribe } from './subscribe.js'
import { pingresp } from './wire/encode.js'
import type { Packet } from './wire/packet.js'
import { reasonCodes } from './wire/reason-codes.js'

/** Gives a packet to the one who knows what it means. @throws BrokerError for one that should not have come */
export function dispatch(hub: Hub, connection: Connection, packet: Packet): void {
  if (packet.type === 'connect') {
    handleConnect(hub, connection, packet).catch((error: unknown) => fail(connection, error))
    return
  }
  const { session } = connection
  if (!session) throw new BrokerError('PROTOCOL_VIOLATION', 'a packet before CONNACK')
  holdToRights(hub, session)
  if (connection.closed) return
  switch (packet.type) {
    case 'publish':
      return handlePublish(hub, connection, session, packet)
    case 'puback':
    case 'pubrec':
    case 'pubcomp':
      return hub.delivery.acknowledge(session, packet)
    case 'pubrel':
      return handlePubrel(hub, connection, session, packet)
    case 'subscribe':
      return handleSubscribe(hub, connection, session, packet)
    case 'unsubscribe':
      return handleUnsubscribe(hub, connection, session, packet)
    case 'pingreq':
      return connection.send(pingresp)
    case 'disconnect':
      return handleDisconnect(hub, connection, session, packet)
    case 'auth':
      // Nobody has named an authentication method, so there is nothing to go on with [MQTT-4.12.0-6].
      throw new BrokerError('PROTOCOL_VIOLATION', 'AUTH without an authentication method in CONNECT')
  }
}

/** What a publisher of MQTT 5 is told when its messages cannot be recorded; they count as never sent. */
export const unrecordable = {
  code: reasonCodes.quotaExceeded,
  say: 'what you send cannot be recorded now; try again later',
} as const

/** The only table from what went wrong to what the client is told. */
export function fail(connection: Connection, error: unknown): void {
  const comment = messageOf(error)
  if (!(error instanceof BrokerError)) {
    const isFull = error instanceof CodedError && error.code === 'AUDIT_FULL'
    connection.close('internal', comment, isFull ? unrecordable : {})
    return
  }
  const { code } = error
  if (code === 'UNSUPPORTED_PROTOCOL') {
    refuse(connection, { code: reasonCodes.unsupportedProtocolVersion, reason: code.toLowerCase(), comment }) // [MQTT-3.1.2-2]
    return
  }
  connection.refusal = { reason: code.toLowerCase(), comment }
  const reason = code === 'RECEIVE_MAXIMUM_EXCEEDED' || code === 'QUOTA_EXCEEDED' ? 'quota' : 'protocol_error'
  connection.close(reason, `${code}: ${comment}`, { code: reasonOf(error), say: comment })
}
