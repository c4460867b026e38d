import type { EffectivePolicy } from '#policy'
import type { Decision, DeviceId, DeviceIdentity, FoundService, OfferedService, ServicePage } from '#protocol'
import { addressOf } from '#registry'
import { ServerError } from '../errors.js'
import { Turns } from '../turns.js'
import type { ServiceDirectory } from './directory.js'
import type { DiscoveryReads } from './reads.js'
import { formatPlace, type Wanted } from './wanted.js'

export interface DiscoveryOptions {
  readonly directory: ServiceDirectory
  /** @throws X509Error for a certificate that is none of ours */
  readonly identify: (der: Uint8Array) => DeviceIdentity
  /** The registry's answer. */
  readonly admit: (
    holder: DeviceIdentity,
    address: string,
  ) => { readonly admitted: true } | { readonly admitted: false; readonly reason: string }
  /** Undefined for a device that is not to be served. */
  readonly rightsOf: (
    device: DeviceId,
    from: string,
  ) => Pick<EffectivePolicy, 'version' | 'discovers' | 'discover'> | undefined
  readonly isOnline: (device: DeviceId) => boolean
  readonly reads: DiscoveryReads
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
}

/** Who asks, and from where. */
export interface Asker {
  readonly device: DeviceId
  /** With its port. */
  readonly peer: string
}

/** Tells devices which services of others there are, of those that the policy lets them see. */
export class Discovery {
  readonly #options: DiscoveryOptions

  constructor(options: DiscoveryOptions) {
    this.#options = options
  }

  /** By the certificate that it shows, as at every door. @throws ServerError DEVICE_NOT_ADMITTED */
  admit(der: Uint8Array, peer: string): Asker {
    const { admit, reads } = this.#options
    const identity = this.#identify(der)
    const { deviceId: device } = identity
    const admission = admit(identity, addressOf(peer))
    if (admission.admitted) return { device, peer }
    reads.add({ device, peer, reason: admission.reason })
    throw new ServerError('DEVICE_NOT_ADMITTED', `certificate ${identity.serial}: ${admission.reason}`)
  }

  /**
   * One page, in the order of devices and names. `query`: as it was asked, for the record; `leaving`: aborted when nobody
   * waits for it any more. @throws ServerError DISCOVERY_NOT_GRANTED; the signal's reason
   */
  async page({ device, peer }: Asker, wanted: Wanted, query: string, leaving: AbortSignal): Promise<ServicePage> {
    const { directory, elapsed, reads } = this.#options
    let rights = this.#requireRights({ device, peer })
    reads.add({ device, peer, query, policyVersion: rights.version })
    const turns = new Turns(elapsed, leaving)
    const found: FoundService[] = []
    for (const offered of directory.list()) {
      if (turns.isOver) {
        await turns.next()
        rights = this.#requireRights({ device, peer }) // they can be others by now
      }
      if (!isBehind(offered, wanted.after) || !wanted.matches(offered)) continue
      if (!isAllowed(rights.discover(offered))) continue
      const last = found.at(-1)
      if (found.length === wanted.limit && last !== undefined) return { services: found, next: formatPlace(last) }
      found.push({ ...offered, online: this.#options.isOnline(offered.device) })
    }
    return { services: found }
  }

  #identify(der: Uint8Array): DeviceIdentity {
    try {
      return this.#options.identify(der)
    } catch (cause) {
      throw new ServerError('DEVICE_NOT_ADMITTED', 'this client certificate admits no device', { cause })
    }
  }

  #requireRights({ device, peer }: Asker): NonNullable<ReturnType<DiscoveryOptions['rightsOf']>> {
    const { reads, rightsOf } = this.#options
    const rights = rightsOf(device, addressOf(peer))
    if (rights?.discovers === true) return rights
    reads.add({
      device,
      peer,
      reason: rights ? 'no_rule' : 'no_rights',
      ...(rights && { policyVersion: rights.version }),
    })
    const problem = `no role of ${device} lets it discover services: the policy has no "discover" rule for it`
    throw new ServerError('DISCOVERY_NOT_GRANTED', problem)
  }
}

/** Deny when in doubt. */
function isAllowed({ effect }: Decision): boolean {
  return effect === 'allow'
}

function isBehind({ device, service }: OfferedService, after: Wanted['after']): boolean {
  if (after === undefined) return true
  return device === after.device ? service > after.service : device > after.device
}
