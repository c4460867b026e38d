import type { DenyReason, TopicAction } from '../identity.js'
import type { CertificateSerial, DeviceId } from '../ids.js'
import type { OperatorFacts } from './operator-facts.js'

/* What happens between a client and the broker, from CONNECT to the end of its session. */

/** A session's name is so many random bytes: it stands in each of its records, and yet it never comes twice. */
export const sessionNameBytes = 10

/** What every record of an MQTT session says about where it belongs. */
export interface SessionFacts {
  readonly device: DeviceId
  /** Of {@link sessionNameBytes}, as lowercase hex. */
  readonly session: string
  /** Position within the session, from 0, without gaps. */
  readonly sessionIndex: number
}

export type SessionEndReason =
  | 'client' //         DISCONNECT
  | 'lost' //           the socket closed without one
  | 'protocol_error'
  | 'keep_alive'
  | 'taken_over'
  | 'denied' //         onDenyPublish: disconnect
  | 'revoked'
  | 'locked' //         kept out until an operator lets it in again
  | 'superseded' //     the device has joined anew, and used what it got
  | 'kicked' //         by an operator; the device may come back
  | 'expired' //        the certificate's notAfter
  | 'quota'
  | 'slow'
  | 'shutdown'
  | 'internal'

/** Why a message that was accepted does not reach a session. */
export type DropReason =
  | 'queue_full'
  | 'expired' //    by the publisher's message expiry interval, or because it waited longer than anything may
  | 'too_large' //  for the maximum packet size that the client has asked for
  | 'revoked' //    its publisher was
  | 'locked' //     its publisher was
  | 'forgotten' //  an operator ended the session
  | 'policy'

export type SessionEvent =
  | (SessionFacts & {
      readonly event: 'session.connect'
      readonly clientId: string
      readonly serial: CertificateSerial
      readonly clean: boolean
      readonly sessionPresent: boolean
      readonly keepAliveSeconds: number
      readonly policyVersion: number
      readonly peer: string
      /** 4 for MQTT 3.1.1, 5 for MQTT 5. */
      readonly protocolLevel: number
    })
  | (SessionFacts & { readonly event: 'session.end'; readonly reason: SessionEndReason; readonly comment?: string })
  | {
      /** A connection that never became a session; `device` only where a certificate proved it. One record per source, reason and 10 s. */
      readonly event: 'session.refuse'
      readonly device?: DeviceId
      readonly clientId?: string
      readonly serial?: CertificateSerial
      readonly reason: string
      readonly comment?: string
      readonly peer: string
      readonly count: number
    }
  | (SessionFacts &
      TopicDecisionFacts & {
        readonly event: 'message.subscribe'
        /** The granted QoS; absent when refused. */
        readonly qos?: number | undefined
      })
  | (SessionFacts & { readonly event: 'message.unsubscribe'; readonly topic: string })
  | (SessionFacts &
      TopicDecisionFacts & {
        readonly event: 'message.publish'
        readonly action: Extract<TopicAction, 'publish' | 'will'>
        readonly qos: number
        readonly retain: boolean
        readonly dup: boolean
        readonly messageId?: number | undefined
        readonly size: number
        /** How many sessions the message was routed to. */
        readonly recipients: number
        /**
         * The log's own work, see `AuditTrail.append`: SHA-256 by which anyone who is shown the payload and one
         * blinding value can tell that it is this one.
         */
        readonly payloadCommitment?: Uint8Array
      })
  | (SessionFacts &
      TopicDecisionFacts & {
        /**
         * A message handed to a session's socket, or withheld there by policy; `publisher` and `origin` name its
         * message.publish record. Both are absent for statistics, which the service itself publishes.
         */
        readonly event: 'message.deliver'
        readonly qos: number
        readonly retain: boolean
        readonly dup: boolean
        readonly messageId?: number | undefined
        readonly size: number
        readonly publisher?: DeviceId | undefined
        readonly origin?: number | undefined
      })
  | (SessionFacts & {
      /** Messages that a session's full queue, its age limit or its end cost it. */
      readonly event: 'message.drop'
      readonly reason: DropReason
      readonly count: number
    })
  | (OperatorFacts & {
      /** An operator is about to end a session's connection, or with `forget` the session with all that waits for it. */
      readonly event: 'session.kick'
      readonly device: DeviceId
      readonly session: string
      readonly clientId: string
      readonly forget: boolean
    })

/**
 * Refusals alike are counted: the first is a record of its own, the others of the same session, reason, topic and 10 s
 * are one more with their number in `count`, and all else as in the first.
 */
export interface TopicDecisionFacts {
  /** Empty where refusals of a device are counted over many topics, because there are too many to be told apart. */
  readonly topic: string
  readonly decision: 'allow' | 'deny'
  /** Why not; only with `deny`. */
  readonly reason?: DenyReason | 'revoked' | 'locked' | undefined
  readonly rules: readonly string[]
  readonly policyVersion: number
  /** Only with `deny`. Default: 1 */
  readonly count?: number
}
