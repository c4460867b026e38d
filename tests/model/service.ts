import type { TestContext } from 'node:test'
import type { Rights } from '#broker'
import { type DeviceId, parseDeviceId, parseOperatorName, parseProfileName } from '#protocol'
import { Registry } from '#registry'
import { decodePem, readDeviceIdentity } from '#x509'
import { attributesOf } from '../../server/attributes.js'
import { PolicyInForce } from '../../server/policy-in-force.js'
import { makeWorld, trustDomain, type World } from '../broker/harness.js'
import { attested, fromLog, issued } from '../registry/world.js'

/** What of the enforcement is switched off, to see that the model test finds out. */
export interface Fault {
  /** In place of what a policy gives a device. */
  readonly rights?: (rights: Rights) => Rights
  /** Changes that the broker is not told of. */
  readonly untold?: 'policy' | 'labels' | 'locks'
}

export const by = { operator: parseOperatorName('ada') }
const profile = parseProfileName('default')

/** Broker, registry and policy as the server wires them, over TLS; log and store in memory. */
export interface ModelService {
  readonly world: World
  readonly registry: Registry
  readonly policy: PolicyInForce
  /** As after a restart of the broker: it begins to follow the locks anew. */
  restart(): Promise<void>
}

export async function openService(
  t: TestContext,
  devices: readonly string[],
  firstPolicy: string,
  { rights = (same) => same, untold }: Fault = {},
): Promise<ModelService> {
  const world = await makeWorld(t, {
    limits: { maxQueued: 50 },
    change: {
      admit: (identity, address) => registry.admit(identity, address),
      promote: (identity, peer) => registry.promote(identity, peer),
      policyFor: (device, from) => {
        const effective = policy.effectiveFor(device, from)
        return effective && rights(effective)
      },
    },
  })
  const now = () => world.clock
  const { store, audit } = world
  const registry = await Registry.open({ store, audit, replay: (from) => fromLog(audit.records, from), now })
  const attributes = (device: DeviceId) => attributesOf(registry, device)
  const policy = await PolicyInForce.open({ store, audit, attributesOf: attributes, now }, firstPolicy, by)

  // In the order of server/wire.ts.
  registry.locks.judgeBy({ rolesOf: (device) => policy.rolesOf(device), hasQuarantine: () => policy.hasQuarantine })
  const follow = () =>
    registry.locks.follow('local', ({ revision, ...change }, { applied }) => {
      applied(revision, untold === 'locks' ? { sessions: 0, purged: 0 } : world.broker.applyLocks(change))
    })
  let lease = follow()
  policy.onChange(() => (untold === 'policy' ? 0 : world.broker.policyChanged()))
  policy.onChange(() => registry.locks.policyChanged())
  registry.onChange(({ kind, device }) => {
    if (kind === 'labels' && untold !== 'labels') world.broker.rightsChanged(device)
    if (kind === 'promoted') world.broker.certificatesChanged(device)
  })
  for (const device of devices) await enroll(world, registry, device)
  const restart = async () => {
    await world.restart()
    lease.release()
    lease = follow()
  }
  return { world, registry, policy, restart }
}

/** With the certificate that the world has for it, by a TPM that was registered before. */
async function enroll(world: World, registry: Registry, name: string): Promise<void> {
  const { cert } = await world.credentials(name)
  const [certificate = new Uint8Array()] = decodePem(cert, 'CERTIFICATE')
  const { fingerprint, serial, spkiHash, tier, notBefore, notAfter } = readDeviceIdentity(certificate, trustDomain)
  const attestation = { ...attested(name, { ek: name }), spkiHash }
  await registry.registerDevice({ device: parseDeviceId(name), profile, labels: {}, anchor: attestation.anchor }, by)
  const times = { notBefore: notBefore.getTime(), notAfter: notAfter.getTime() }
  const facts = { fingerprint, serial, spkiHash, tier, ...times, certificate }
  await registry.enroll(issued(registry.planEnrollment(attestation)), facts, { peer: '192.0.2.7' })
}
