import { CodedError } from '#protocol'

export type BrokerErrorCode =
  | 'MALFORMED_PACKET' //      bytes that are no MQTT 3.1.1 packet
  | 'PACKET_TOO_LARGE' //      announced above the limit; nothing of it was kept
  | 'PROTOCOL_VIOLATION' //    a packet at the wrong time or in the wrong direction
  | 'UNSUPPORTED_PROTOCOL' //  another version of MQTT
  | 'UNSUPPORTED_QOS' //       QoS 2
  | 'INVALID_TOPIC' //         a topic name or filter outside the grammar or our limits
  | 'STORE_CORRUPT' //         a stored session or message that cannot be read
  | 'LISTEN_FAILED'

export class BrokerError extends CodedError<BrokerErrorCode> {}
