import type { Reach } from '#policy'
import type { AuditRecord, DeviceId, Labels } from '#protocol'

export interface MandateOptions {
  /** By the policy in force when it is asked. */
  readonly reach: () => Reach
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

  /** Whether no label narrows it. */
  get isOnEveryDevice(): boolean {
    return this.includes({})
  }

  /** Whether it is on whatever has these labels, and on so many devices at once. */
  includes(labels: Labels, devices = 1): boolean {
    return this.#options.reach().includes(labels, devices)
  }

  /** Whether it is on all that has one of these sets of labels, and on so many devices at once. */
  includesAll(sets: readonly Labels[], devices = 1): boolean {
    return sets.every((labels) => this.includes(labels, devices))
  }

  includesDevice(device: DeviceId): boolean {
    const labels = this.#options.labelsOf(device)
    return labels === undefined ? this.isOnEveryDevice : this.includes(labels)
  }

  /** To be thrown: the act is allowed, and not this. */
  refusal(what: string, device?: DeviceId): Error {
    return this.#options.refuse(what, device)
  }

  /** @throws ServerError ACT_NOT_ALLOWED */
  requireDevice(device: DeviceId): void {
    if (!this.includesDevice(device)) throw this.#options.refuse(`on device ${device}`, device)
  }

  /**
   * For a name that a device is to have: another's is refused. That it is taken cannot be kept from who tries to give it,
   * for a name can be given once; but the try is on record, with the name. @throws ServerError ACT_NOT_ALLOWED
   */
  requireName(device: DeviceId): void {
    const labels = this.#options.labelsOf(device)
    if (labels !== undefined && !this.includes(labels)) throw this.#options.refuse(`on device ${device}`, device)
  }

  /** For all that has one of these sets of labels, and so many devices at once. @throws ServerError ACT_NOT_ALLOWED */
  requireAll(sets: readonly Labels[], devices = 1): void {
    const { refuse } = this.#options
    if (!this.includesAll(sets)) throw refuse('beyond the labels that it names')
    if (!this.includesAll(sets, devices)) {
      throw refuse(Number.isFinite(devices) ? `on ${devices} devices at once` : 'on devices that nobody can count')
    }
  }

  /** @throws ServerError ACT_NOT_ALLOWED */
  requireEveryDevice(): void {
    this.requireAll([{}])
  }

  /** For what a record of the log says. @throws ServerError ACT_NOT_ALLOWED */
  requireRecord(record: AuditRecord | undefined): void {
    const device = record !== undefined && 'device' in record ? record.device : undefined
    const isTheirs = device === undefined ? this.isOnEveryDevice : this.includesDevice(device)
    // Not one word of whose it is: else whoever counts through the log would learn all that there are.
    if (!isTheirs) throw this.#options.refuse('on what this record is about', device)
  }
}
