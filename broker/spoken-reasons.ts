import type { SessionEndReason } from '#protocol'
import type { BrokerError, BrokerErrorCode } from './errors.js'
import { type ReasonCode, reasonCodes, wireReasonCodes } from './wire/reason-codes.js'

/** What a client of MQTT 5 is told when we end its session (§3.14.2.1); undefined where it has gone by itself. */
export const disconnectReasons: Readonly<Record<SessionEndReason, ReasonCode | undefined>> = {
  client: undefined,
  lost: undefined,
  protocol_error: reasonCodes.protocolError,
  keep_alive: reasonCodes.keepAliveTimeout,
  taken_over: reasonCodes.sessionTakenOver,
  denied: reasonCodes.notAuthorized,
  revoked: reasonCodes.administrativeAction,
  locked: reasonCodes.administrativeAction,
  kicked: reasonCodes.administrativeAction,
  superseded: reasonCodes.administrativeAction,
  expired: reasonCodes.maximumConnectTime,
  quota: reasonCodes.quotaExceeded,
  slow: reasonCodes.quotaExceeded,
  shutdown: reasonCodes.serverShuttingDown,
  internal: reasonCodes.unspecifiedError,
}

/** What went wrong, as MQTT 5 says it (§4.13). */
export function reasonOf({ code }: BrokerError): ReasonCode {
  return errorReasons[code] ?? reasonCodes.unspecifiedError
}

const errorReasons: Readonly<Partial<Record<BrokerErrorCode, ReasonCode>>> = {
  ...wireReasonCodes,
  RECEIVE_MAXIMUM_EXCEEDED: reasonCodes.receiveMaximumExceeded,
}
