import type { AuditEventName } from '#protocol'

/**
 * What is recorded on a full disk too, out of a reserve: what operators do and what follows from it for devices, what the
 * service says of itself, and the ends of sessions, of which there are no more than there are sessions. Nothing that a
 * device or a stranger can repeat. That devices are to rotate waits: they could not renew there either.
 */
const reservedFor: ReadonlySet<AuditEventName> = new Set<AuditEventName>([
  'device.revoke',
  'device.clone',
  'device.register',
  'device.label',
  'join.approve',
  'join.deny',
  'device.quarantine',
  'device.release',
  'lock.add',
  'lock.remove',
  'lock.expire',
  'lock.applied',
  'token.create',
  'token.revoke',
  'operator.issue',
  'operator.invite',
  'operator.revoke',
  'policy.activate',
  'policy.refuse',
  'pcr_policy.apply',
  'pcr_policy.remove',
  'policy.render_error',
  'session.kick',
  'session.end',
  'audit.read',
  'audit.gap',
  'log.recovery',
  'log.failover',
  'log.key_rotate',
  'log.key_retire',
  'witness.refuse',
  'log.retention',
  'server.start',
  'server.stop',
])

/**
 * What may be missing in the mode `bestEffort`: what devices and strangers do. Never what operators do, and never what
 * the registry is made of: a certificate that is in no record would open doors that nobody knows of.
 */
const dispensable: ReadonlySet<AuditEventName> = new Set<AuditEventName>([
  'session.connect',
  'session.end',
  'session.refuse',
  'message.publish',
  'message.deliver',
  'message.subscribe',
  'message.unsubscribe',
  'message.drop',
  'join.refuse',
  'join.pending',
  'operator.refuse',
  'services.discover',
])

/**
 * What tells of something that has happened already, so that nobody waits for its record to be durable before anything
 * else happens. What is asked for and answered is not among it.
 */
const unawaited: ReadonlySet<AuditEventName> = new Set<AuditEventName>([
  'message.deliver',
  'message.drop',
  'session.end',
  'session.refuse',
])

export function isReservedFor(event: AuditEventName): boolean {
  return reservedFor.has(event)
}

export function isDispensable(event: AuditEventName): boolean {
  return dispensable.has(event)
}

export function isAwaited(event: AuditEventName): boolean {
  return !unawaited.has(event)
}
