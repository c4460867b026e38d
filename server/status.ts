import type { DeviceState, StatusView } from '#protocol'
import type { AuditLog, OutsideCheckpoints, Retention } from '#audit'
import { type Broker, countConnections, type LockLease } from '#broker'
import type { CertificateAuthority } from '#ca'
import type { Registry } from '#registry'
import type { Store } from '#store'
import type { ServerConfig } from './config.js'
import type { Check } from './health.js'
import { isoTime } from './http/views.js'
import type { PolicyInForce } from './policy-in-force.js'

interface Parts {
  readonly startedAt: number
  readonly registry: Registry
  readonly broker: Broker
  readonly audit: AuditLog
  readonly retention: Retention
  readonly outside: OutsideCheckpoints
  readonly policy: PolicyInForce
  readonly ca: CertificateAuthority
}

/** What is looked at beyond what operators see. */
interface Checked {
  readonly store: Store
  readonly lease: LockLease
  readonly now: () => number
}

/** How the service is, for operators. */
export function statusOf({ config, startedAt, ...parts }: Parts & { readonly config: ServerConfig }): StatusView {
  const { registry, broker, audit, retention, outside, policy, ca } = parts
  const { version, hash } = policy.view
  const { connections, sessions } = broker.levels()
  return {
    version: config.version,
    trustDomain: config.trustDomain,
    startedAt: isoTime(startedAt),
    devices: countDevices(registry),
    sessions: { connected: countConnections(connections), stored: sessions },
    audit: {
      mode: audit.mode,
      first: retention.latest?.minimumIndex ?? 0,
      size: audit.size,
      durable: audit.durable,
      healthy: audit.writable,
      outside: outsideOf(outside),
    },
    policy: { version, hash },
    issuer: { subject: ca.issuing.subject.replaceAll('\n', ', '), notAfter: isoTime(ca.issuing.validity.notAfter) },
  }
}

/** What `/readyz` asks, one question per part that the service cannot do without. */
export function checksOf(parts: Parts & Checked): readonly Check[] {
  const { store, ca, audit, outside, broker, lease, now } = parts
  return [
    { name: 'store', problem: async () => void (await store.get('server/health')) },
    {
      name: 'signer',
      problem: () => (ca.issuing.validity.notAfter > now() ? undefined : 'the issuing CA has expired'),
    },
    { name: 'audit', problem: () => audit.problem, warning: () => outsideWarning(outside) },
    brokerCheck(broker, lease),
  ]
}

/** A broker that hears no more of locks is no place to send devices to, but where it was told to go on all the same. */
export function brokerCheck(broker: Pick<Broker, 'healthy'>, lease: LockLease): Check {
  const silent = `has heard nothing of locks for longer than ${lease.terms.milliseconds / 1000} s`
  return {
    name: 'broker',
    problem: () => {
      if (!broker.healthy) return 'log or store has failed; devices are turned away'
      return lease.holds ? undefined : `${silent}; nothing is read or delivered until it does`
    },
    warning: () => (lease.isOver && lease.holds ? `${silent}; goes on, by mqtt.lease` : undefined),
  }
}

function outsideOf(outside: OutsideCheckpoints): StatusView['audit']['outside'] {
  const { newest, places } = outside.status()
  const viewOf = (given: { readonly size: number; readonly at: number }) => ({
    size: given.size,
    at: isoTime(given.at),
  })
  return {
    ...(newest && { newest: viewOf(newest) }),
    places: places.map(({ kind, name, given, problem }) => ({
      ...{ kind, name },
      ...(given && { newest: viewOf(given) }),
      ...(problem !== undefined && { problem }),
    })),
  }
}

/** Nothing waits for anybody outside, so it is never a reason to send devices away. */
function outsideWarning(outside: OutsideCheckpoints): string | undefined {
  const failing = outside.status().places.filter(({ problem }) => problem !== undefined)
  return failing.length === 0 ? undefined : failing.map(({ name, problem }) => `${name}: ${problem ?? ''}`).join('; ')
}

function countDevices(registry: Registry): Record<DeviceState, number> {
  const counts = { registered: 0, active: 0, revoked: 0 }
  for (const { state } of registry.devices()) counts[state]++
  return counts
}
