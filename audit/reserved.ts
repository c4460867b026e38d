import type { AuditEventName } from '#protocol'

/**
 * What is recorded on a full disk too, out of a reserve: what operators do, what the service says of itself, and the
 * ends of sessions, of which there are no more than there are sessions. Nothing that a device or a stranger can repeat.
 */
const reservedFor: ReadonlySet<AuditEventName> = new Set<AuditEventName>([
  'device.revoke',
  'device.register',
  'device.label',
  'token.create',
  'token.revoke',
  'operator.issue',
  'policy.activate',
  'policy.refuse',
  'policy.render_error',
  'session.kick',
  'session.end',
  'audit.read',
  'log.recovery',
  'server.start',
  'server.stop',
])

export function isReservedFor(event: AuditEventName): boolean {
  return reservedFor.has(event)
}
