import type { WireErrorCode } from '../errors.js'

/** MQTT 5.0 §2.4, table 2-6. Three of its names stand for 0: success, normal disconnection, granted QoS 0. */
export const reasonCodes = {
  success: 0x00,
  grantedQos1: 0x01,
  grantedQos2: 0x02,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reAuthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const
export type ReasonCode = (typeof reasonCodes)[keyof typeof reasonCodes]

/** What MQTT 3.1.1 can say of a refused CONNECT (its table 3.1), for the reason that MQTT 5 would give. */
export function connectReturnCode(reason: ReasonCode): 0 | 1 | 2 | 3 | 4 | 5 {
  return returnCodes.get(reason) ?? 3
}

const returnCodes: ReadonlyMap<ReasonCode, 0 | 1 | 2 | 4 | 5> = new Map([
  [reasonCodes.success, 0],
  [reasonCodes.unsupportedProtocolVersion, 1],
  [reasonCodes.clientIdentifierNotValid, 2],
  [reasonCodes.badUserNameOrPassword, 4],
  [reasonCodes.notAuthorized, 5],
  [reasonCodes.banned, 5],
  [reasonCodes.badAuthenticationMethod, 5],
])

/** How a client of MQTT 5 is told what is wrong with its bytes, in CONNACK or DISCONNECT (MQTT 5.0 §4.13.1). */
export const wireReasonCodes: Readonly<Record<WireErrorCode, ReasonCode>> = {
  MALFORMED_PACKET: reasonCodes.malformedPacket,
  PROTOCOL_VIOLATION: reasonCodes.protocolError,
  PACKET_TOO_LARGE: reasonCodes.packetTooLarge,
  QUOTA_EXCEEDED: reasonCodes.quotaExceeded,
  UNSUPPORTED_PROTOCOL: reasonCodes.unsupportedProtocolVersion,
  INVALID_TOPIC: reasonCodes.topicNameInvalid,
  INVALID_TOPIC_FILTER: reasonCodes.topicFilterInvalid,
  TOPIC_ALIAS_INVALID: reasonCodes.topicAliasInvalid,
}
