import type { AuditLog } from '#audit'
import { Broker, LockLease } from '#broker'
import type { CertificateAuthority } from '#ca'
import { leaseTerms, type Registry } from '#registry'
import type { Store } from '#store'
import { publicHost } from './config.js'
import type { LastHeard } from './inventory/last-heard.js'
import type { ServiceDirectory } from './discovery/directory.js'
import { followDirectory } from './discovery/follow-directory.js'
import { followRegistry } from './follow-registry.js'
import type { Issuers } from './issuers.js'
import { listening } from './listening.js'
import { followLocks } from './lock-follower.js'
import { brokerLimits } from './mqtt-limits.js'
import type { PolicyInForce } from './policy-in-force.js'
import { tlsOf, type Upkeep } from './upkeep.js'
import type { Wiring } from './wiring.js'

export interface BrokerParts {
  readonly store: Store
  readonly audit: AuditLog
  readonly registry: Registry
  readonly ca: CertificateAuthority
  readonly issuers: Issuers
  readonly policy: PolicyInForce
  readonly upkeep: Upkeep
  readonly heard: LastHeard
  readonly directory: ServiceDirectory
}

/** A broker that listens. */
export interface OpenBroker {
  readonly broker: Broker
  /** Its leave to serve, as far as locks go. */
  readonly lease: LockLease
  readonly ports: { readonly mqtt: number; readonly websocket: number }
  readonly addresses: { readonly mqtts: string; readonly wss: string }
}

/** Opens the broker and its listeners, and has it hear of each change of what devices may do. */
export async function openBroker(wiring: Wiring, parts: BrokerParts): Promise<OpenBroker> {
  const { config, now, elapsed, closing } = wiring
  const { store, audit, registry, ca, issuers, policy, upkeep, heard, directory } = parts
  const lease = new LockLease({ terms: leaseTerms(config.lease), elapsed })
  const broker = await Broker.open({
    ...{ lease, audit },
    store,
    identify: (peerDer) => issuers.identifyDevice(peerDer),
    admit: (identity, address) => registry.admit(identity, address),
    promote: (identity, peer) => registry.promote(identity, peer),
    policyFor: (device, from) => policy.effectiveFor(device, from),
    heard: (device) => heard.note(device),
    now,
    elapsed,
    version: `touchmark ${config.version}`,
    limits: brokerLimits(config.mqttLimits),
  })
  closing.add(() => broker.closeGracefully())
  closing.add(followLocks({ broker, lease, registry, audit, elapsed }))
  policy.onChange(() => broker.policyChanged())
  followRegistry(broker, registry)
  followDirectory(broker, directory)

  const tls = () => ({ ...tlsOf(upkeep.server), ca: ca.chain })
  const listen = async (kind: 'tls' | 'websocket', what: string, port: number): Promise<number> => {
    const { host, proxies, allowedOrigins } = config
    const open = () => broker.listen({ kind, host, port, tls: tls(), proxies, allowedOrigins })
    return (await listening(what, host, port, open)).port
  }
  const ports = {
    mqtt: await listen('tls', 'MQTT', config.mqttPort),
    websocket: await listen('websocket', 'MQTT over WebSocket', config.websocketPort),
  }
  upkeep.onServerRenewed(() => broker.renewTls(tls()))

  const host = publicHost(config)
  const addresses = { mqtts: `mqtts://${host}:${ports.mqtt}`, wss: `wss://${host}:${ports.websocket}/mqtt` }
  return { broker, lease, ports, addresses }
}
