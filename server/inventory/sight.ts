import type { DeviceId, Labels } from '#protocol'
import type { CertificateRecord, Device, Instance, Registry } from '#registry'
import { certificateInUse } from '../attributes.js'

/** Who is asked about devices. */
export interface Sources {
  readonly registry: Pick<Registry, 'certificatesOf' | 'instance' | 'locks'>
  readonly isOnline: (device: DeviceId) => boolean
  /** When it was last heard of by one who listened, in milliseconds since 1970. */
  readonly heardAt: (device: DeviceId) => number | undefined
  readonly now: () => number
}

const nothing: Labels = {}

/** A device as it is now, seen from all sides. Nothing is worked out before it is asked for: a query asks of few of many. */
export class Sight {
  readonly device: Device
  readonly #sources: Sources

  constructor(device: Device, sources: Sources) {
    this.device = device
    this.#sources = sources
  }

  get isOnline(): boolean {
    return this.#sources.isOnline(this.device.id)
  }

  /** The one that it shows, or is to show first; undefined for a device that has none that opens anything. */
  get certificate(): CertificateRecord | undefined {
    return certificateInUse(this.#sources.registry, this.device)
  }

  /** Its newest machine, or the one whose certificate is in use. */
  get instance(): Instance | undefined {
    const { registry } = this.#sources
    const id = this.certificate?.instance ?? this.device.instances.at(-1)
    return id === undefined ? undefined : registry.instance(id)
  }

  /** What the device says of itself: for people to read, and to look for; nothing is decided by it. */
  get reported(): Labels {
    return this.instance?.reported ?? nothing
  }

  /** Kept out for now, or with next to no rights; one that is revoked is neither. */
  get standing(): 'locked' | 'quarantined' | undefined {
    const { locks } = this.#sources.registry
    const { id, state } = this.device
    if (state !== 'revoked' && locks.keepsOut(id)) return 'locked'
    return locks.isQuarantined(id) ? 'quarantined' : undefined
  }

  /**
   * When there was last a sign of it, in milliseconds since 1970: now, while it is connected; else when it connected or
   * went, or asked for a certificate, which begins a few minutes before it is asked for. Undefined for one that never came.
   */
  get seenAt(): number | undefined {
    const { heardAt, now, registry } = this.#sources
    if (this.isOnline) return now()
    const issued = this.device.instances.flatMap((id) => registry.certificatesOf(id).map(({ notBefore }) => notBefore))
    const signs = [...issued, heardAt(this.device.id) ?? -Infinity]
    const last = signs.reduce((latest, sign) => Math.max(latest, sign), -Infinity)
    return last === -Infinity ? undefined : last
  }
}
