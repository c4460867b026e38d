import { LockLease } from '#broker'
import { type DeviceId, parseDeviceId, parseOperatorName } from '#protocol'
import { Registry } from '#registry'
import { attributesOf } from '../../server/attributes.js'
import { followRegistry } from '../../server/follow-registry.js'
import { PolicyInForce } from '../../server/policy-in-force.js'
import { makeWorld, type Scope, until, type World } from '../broker/harness.js'
import { fromLog } from '../registry/world.js'
import { Wallet } from './wallet.js'

export const by = { operator: parseOperatorName('ada') }

/** Broker, registry and policy as the server wires them, over TLS; log and store in memory. */
export interface ModelService {
  readonly world: World
  readonly registry: Registry
  readonly policy: PolicyInForce
  readonly fleet: readonly Wallet[]
  /** Makes a device known and has it join. */
  enlist(name: string): Promise<Wallet>
  /** Lets time pass, and waits until the broker has looked at the clock. */
  wait(milliseconds: number): Promise<void>
  /** As after a restart of the broker: it begins to follow the locks anew. */
  restart(): Promise<void>
}

export async function openService(t: Scope, devices: readonly string[], firstPolicy: string): Promise<ModelService> {
  const lease = new WatchedLease()
  const world = await makeWorld(t, {
    limits: { maxQueued: 50 },
    change: {
      lease,
      admit: (identity, address) => registry.admit(identity, address),
      promote: (identity, peer) => registry.promote(identity, peer),
      policyFor: (device, from) => policy.effectiveFor(device, from),
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
      applied(revision, world.broker.applyLocks(change))
    })
  let hold = follow()
  policy.onChange(() => world.broker.policyChanged())
  policy.onChange(() => registry.locks.policyChanged())
  const broker = {
    rightsChanged: (device: DeviceId) => world.broker.rightsChanged(device),
    certificatesChanged: (device: DeviceId) => world.broker.certificatesChanged(device),
  }
  followRegistry(broker, registry)

  const enlist = async (name: string) => {
    const wallet = new Wallet(registry, parseDeviceId(name))
    await wallet.register({ site: 'a', kind: 'x' })
    await wallet.join('tpm', await world.credentials(name))
    return wallet
  }
  const fleet: Wallet[] = []
  for (const device of devices) fleet.push(await enlist(device))

  return {
    ...{ world, registry, policy, fleet, enlist },
    async wait(milliseconds: number) {
      const before = lease.looks
      world.clock += milliseconds
      await until(() => lease.looks > before)
    },
    async restart() {
      await world.restart()
      hold.release()
      hold = follow()
    },
  }
}

/** Endless. Each sweep asks it once whether it has been given up, and looks at all that depends on the clock. */
class WatchedLease extends LockLease {
  looks = 0

  constructor() {
    super({ elapsed: () => 0 })
  }

  override get isGivenUp(): boolean {
    this.looks++
    return super.isGivenUp
  }
}
