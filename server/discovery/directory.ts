import { type DeviceId, type OfferChange, type OfferedService, servicesIn } from '#protocol'
import type { Registry } from '#registry'
import { attributesOf, certificateInUse } from '../attributes.js'

type Known = Pick<Registry, 'device' | 'devices' | 'instance' | 'certificatesOf' | 'locks' | 'onChange'>

/**
 * What devices offer now, as their machines in use report it: of those that could connect and are in no quarantine. Kept
 * beside the registry and never stored, because a fleet is asked far more often than it changes.
 */
export class ServiceDirectory {
  readonly #registry: Known
  readonly #offered = new Map<DeviceId, readonly OfferedService[]>()
  readonly #listeners = new Set<(change: OfferChange) => void>()
  /** Those that offer something; undefined after one has come or gone. */
  #order: readonly DeviceId[] | undefined

  constructor(registry: Known) {
    this.#registry = registry
    registry.onChange(({ device }) => this.#look(device))
    // Begins with the whole state, which is when all devices are looked at for the first time.
    registry.locks.follow('discovery', (change, { applied }) => {
      const { after, revision, revoked, locked, quarantined, restored, released } = change
      const changed = [revoked, locked, quarantined, restored, released].flat()
      for (const device of after === undefined ? this.#all() : changed) this.#look(device)
      applied(revision, { sessions: 0, purged: 0 })
    })
  }

  /** Undefined where the device offers no such service, or is not to be found now. */
  find(device: DeviceId, service: string): OfferedService | undefined {
    return this.#offered.get(device)?.find((offered) => offered.service === service)
  }

  /** In the order of devices and names. May be read over several turns of the event loop. */
  *list(): Generator<OfferedService, void, undefined> {
    this.#order ??= [...this.#offered.keys()].toSorted()
    for (const device of this.#order) yield* this.#offered.get(device) ?? []
  }

  /** Called with each change when it acts. Listeners must not throw. */
  onChange(listener: (change: OfferChange) => void): void {
    this.#listeners.add(listener)
  }

  #all(): readonly DeviceId[] {
    return [...this.#registry.devices().map(({ id }) => id), ...this.#offered.keys()]
  }

  #look(device: DeviceId): void {
    const [before, after] = [this.#offered.get(device) ?? [], offeredBy(this.#registry, device)]
    if (before.length === 0 && after.length === 0) return
    if (before.length === 0 || after.length === 0) this.#order = undefined
    if (after.length === 0) this.#offered.delete(device)
    else this.#offered.set(device, after)
    for (const listener of this.#listeners) listener({ before, after })
  }
}

function offeredBy(registry: Known, id: DeviceId): readonly OfferedService[] {
  const known = registry.device(id)
  const inUse = known && certificateInUse(registry, known)
  const reported = inUse && registry.instance(inUse.instance)?.reported
  if (known === undefined || reported === undefined) return []
  const attributes = attributesOf(registry, id)
  if (attributes === undefined || attributes.quarantined === true) return []
  return servicesIn(reported).map((service) => ({ device: id, labels: known.labels, ...service }))
}
