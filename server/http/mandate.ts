import type { Reach } from '#policy'
import type { ActName, DeviceId, Labels } from '#protocol'

export interface MandateOptions {
  readonly act: ActName
  readonly reach: Reach
  /** Undefined for a device that is not known. */
  readonly labelsOf: (device: DeviceId) => Labels | undefined
  /** Records that the operator may not, and says so. */
  readonly refuse: (what: string, device?: DeviceId) => Error
}

/**
 * What the operator of one request may do its act on. Whoever may do it on some devices only learns nothing of the others,
 * not even which there are: a device that is not known and one that is not his are the same refusal.
 */
export class Mandate {
  readonly #options: MandateOptions

  constructor(options: MandateOptions) {
    this.#options = options
  }

  get isUnlimited(): boolean {
    return this.#options.reach.isEverything
  }

  /** Whether it reaches whatever has these labels. */
  includes(labels: Labels): boolean {
    return this.#options.reach.includes(labels)
  }

  includesDevice(device: DeviceId): boolean {
    const labels = this.#options.labelsOf(device)
    return this.isUnlimited || (labels !== undefined && this.includes(labels))
  }

  /** @throws ServerError ACT_NOT_ALLOWED */
  requireDevice(device: DeviceId): void {
    if (!this.includesDevice(device)) throw this.#options.refuse(`on device ${device}`, device)
  }

  /** For what is about to have these labels, and so many devices. @throws ServerError ACT_NOT_ALLOWED */
  requireLabels(labels: Labels, devices = 1): void {
    const { reach, refuse } = this.#options
    if (!reach.includes(labels)) throw refuse('on devices with other labels than the policy names')
    if (!reach.includes(labels, devices)) throw refuse(`on ${devices} devices at once`)
  }

  /** @throws ServerError ACT_NOT_ALLOWED */
  requireUnlimited(): void {
    if (!this.isUnlimited) throw this.#options.refuse('on everything')
  }
}
