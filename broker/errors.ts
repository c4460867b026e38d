import { CodedError } from '#protocol'

/** What is wrong with bytes from a client; `wire/reason-codes.ts` says each of them in MQTT 5. */
export type WireErrorCode =
  | 'MALFORMED_PACKET' //      bytes that are no MQTT packet
  | 'PROTOCOL_VIOLATION' //    a packet at the wrong time or in the wrong direction, or with what it must not hold
  | 'PACKET_TOO_LARGE' //      announced above the limit; nothing of it was kept
  | 'QUOTA_EXCEEDED' //        more filters or user properties in one packet than we take
  | 'UNSUPPORTED_PROTOCOL' //  another version of MQTT
  | 'INVALID_TOPIC' //         a topic name outside the grammar or our limits
  | 'INVALID_TOPIC_FILTER' //  the same of a topic filter
  | 'TOPIC_ALIAS_INVALID'

export type BrokerErrorCode =
  | WireErrorCode
  | 'RECEIVE_MAXIMUM_EXCEEDED' // more QoS 1 and 2 messages than may be under way
  | 'STORE_CORRUPT' //         a stored session or message that cannot be read
  | 'PROXY_HEADER_INVALID' //  what a proxy said is not PROXY protocol version 2, or does not name a TCP client
  | 'LISTEN_FAILED'

export class BrokerError extends CodedError<BrokerErrorCode> {}
