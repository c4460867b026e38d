import type { RegistryEvent } from './events/registry-event.js'
import type { ServiceEvent } from './events/service-event.js'
import type { SessionEvent } from './events/session-event.js'

/**
 * What the audit log says. Every event names its kind in `event`; values are text, whole numbers, bytes, booleans, lists
 * of text and maps of text, so that one table encodes them all. Times inside events are milliseconds since 1970.
 */
export type AuditEvent = RegistryEvent | SessionEvent | ServiceEvent
export type AuditEventName = AuditEvent['event']

/** An event with its place in the log. */
export type AuditRecord = AuditEvent & {
  /** Position in the log: from 0, without gaps. */
  readonly sequence: number
  /** Milliseconds since 1970 by the server's clock; order is by `sequence`, never by time. */
  readonly time: number
}
