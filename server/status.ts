import type { DeviceState, StatusView } from '#protocol'
import type { AuditLog } from '#audit'
import type { Broker } from '#broker'
import type { CertificateAuthority } from '#ca'
import type { Registry } from '#registry'
import type { Store } from '#store'
import type { ServerConfig } from './config.js'
import type { Check, Metric } from './health.js'
import { isoTime } from './http/views.js'
import type { PolicyInForce } from './policy-in-force.js'

interface Parts {
  readonly startedAt: number
  readonly registry: Registry
  readonly broker: Broker
  readonly audit: AuditLog
  readonly policy: PolicyInForce
  readonly ca: CertificateAuthority
}

/** How the service is, for operators. */
export function statusOf({ config, startedAt, ...parts }: Parts & { readonly config: ServerConfig }): StatusView {
  const { registry, broker, audit, policy, ca } = parts
  const { version, hash } = policy.view
  const sessions = broker.sessions()
  return {
    version: config.version,
    trustDomain: config.trustDomain,
    startedAt: isoTime(startedAt),
    devices: countDevices(registry),
    sessions: { connected: sessions.filter(({ connected }) => connected).length, stored: sessions.length },
    audit: { mode: audit.mode, size: audit.size, durable: audit.durable, healthy: audit.healthy },
    policy: { version, hash },
    issuer: { subject: ca.issuing.subject.replaceAll('\n', ', '), notAfter: isoTime(ca.issuing.validity.notAfter) },
  }
}

/** What `/readyz` asks, one question per part that the service cannot do without. */
export function checksOf(parts: Parts & { readonly store: Store; readonly now: () => number }): readonly Check[] {
  const { store, ca, audit, broker, now } = parts
  return [
    { name: 'store', problem: async () => void (await store.get('server/health')) },
    {
      name: 'signer',
      problem: () => (ca.issuing.validity.notAfter > now() ? undefined : 'the issuing CA has expired'),
    },
    { name: 'audit', problem: () => auditProblem(audit) },
    {
      name: 'broker',
      problem: () => (broker.healthy ? undefined : 'log or store has failed; devices are turned away'),
    },
  ]
}

/** Totals only; no device is ever a label. */
export function metricsOf({ startedAt, registry, broker, audit, policy }: Parts): readonly Metric[] {
  const connected = () => broker.sessions().filter((session) => session.connected).length
  return [
    gauge('touchmark_start_time_seconds', 'When the service started, in Unix time.', () => startedAt / 1000),
    gauge(
      'touchmark_devices_active',
      'Devices that have joined and are not revoked.',
      () => countDevices(registry).active,
    ),
    gauge('touchmark_devices_revoked', 'Devices that were revoked.', () => countDevices(registry).revoked),
    gauge('touchmark_sessions_connected', 'MQTT sessions with a connection.', connected),
    gauge('touchmark_sessions_stored', 'MQTT sessions, connected or kept.', () => broker.sessions().length),
    {
      name: 'touchmark_audit_records_total',
      help: 'Records of the audit log.',
      type: 'counter',
      value: () => audit.size,
    },
    gauge('touchmark_audit_waiting', 'Records that are not on disk yet.', () => audit.size - 1 - audit.durable),
    gauge('touchmark_audit_healthy', '1 while the audit log can be written.', () => (audit.healthy ? 1 : 0)),
    gauge('touchmark_policy_version', 'Version of the policy in force.', () => policy.view.version),
  ]
}

function countDevices(registry: Registry): Record<DeviceState, number> {
  const counts = { registered: 0, active: 0, revoked: 0 }
  for (const { state } of registry.devices()) counts[state]++
  return counts
}

function auditProblem(audit: AuditLog): string | undefined {
  if (!audit.healthy) return 'the log cannot be written; nothing new is acknowledged until the service is started again'
  return audit.congested ? 'records wait for the disk' : undefined
}

function gauge(name: Metric['name'], help: string, value: () => number): Metric {
  return { name, help, type: 'gauge', value }
}
