import type { DeviceId } from '#protocol'
import {
  type DeviceAttributes,
  type EffectivePolicy,
  isWithin,
  type RateLimiter,
  renderPolicy,
  type TopicPolicy,
} from '#policy'

interface Circumstances {
  readonly from: string | undefined
  readonly at: number
}

interface Rendered {
  readonly attributes: DeviceAttributes
  readonly from: string | undefined
  readonly effective: EffectivePolicy
}

/** For the sessions of one device that are in different networks; beyond that the oldest rendering is made anew. */
const maxPerDevice = 8

/** The rights of each device by one policy, rendered once for each change of what they depend on. */
export class RenderedRights {
  /** Newest first. */
  readonly #rendered = new Map<DeviceId, readonly Rendered[]>()
  readonly #rates: RateLimiter
  readonly #report: (device: DeviceId, problem: string) => void

  constructor(rates: RateLimiter, report: (device: DeviceId, problem: string) => void) {
    this.#rates = rates
    this.#report = report
  }

  of(policy: TopicPolicy, attributes: DeviceAttributes, circumstances: Circumstances): EffectivePolicy {
    const { id } = attributes
    const known = this.#rendered.get(id) ?? []
    const { at, from } = circumstances
    const present = known.filter((one) => isStillSo(one, attributes, at))
    const fitting = present.find((one) => one.from === from || one.effective.holdAt(from))
    if (fitting) return fitting.effective
    const effective = renderPolicy(policy, attributes, circumstances, this.#rates)
    this.#rendered.set(id, [{ attributes, from, effective }, ...present].slice(0, maxPerDevice))
    for (const problem of effective.renderErrors) this.#report(id, problem)
    return effective
  }

  forget(device: DeviceId): void {
    this.#rendered.delete(device)
  }

  /** To be called when another policy decides. */
  clear(): void {
    this.#rendered.clear()
  }
}

function isStillSo({ attributes, effective }: Rendered, now: DeviceAttributes, at: number): boolean {
  const { tier, labels, quarantined } = attributes
  const isSame = tier === now.tier && labels === now.labels && quarantined === now.quarantined
  return isSame && isWithin(effective.term, at)
}
