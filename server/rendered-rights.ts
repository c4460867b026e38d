import type { DeviceId } from '#protocol'
import {
  type DeviceAttributes,
  type EffectivePolicy,
  isWithin,
  type RateLimiter,
  renderPolicy,
  type TopicPolicy,
} from '#policy'

interface Rendered {
  readonly attributes: DeviceAttributes
  readonly from: string | undefined
  readonly effective: EffectivePolicy
}

/** The rights of each device by one policy, rendered once for each change of what they depend on. */
export class RenderedRights {
  readonly #rendered = new Map<DeviceId, Rendered>()
  readonly #rates: RateLimiter
  readonly #report: (device: DeviceId, problem: string) => void

  constructor(rates: RateLimiter, report: (device: DeviceId, problem: string) => void) {
    this.#rates = rates
    this.#report = report
  }

  of(
    policy: TopicPolicy,
    attributes: DeviceAttributes,
    circumstances: { readonly from: string | undefined; readonly at: number },
  ): EffectivePolicy {
    const { id } = attributes
    const known = this.#rendered.get(id)
    if (known && isStillSo(known, attributes, circumstances)) return known.effective
    const effective = renderPolicy(policy, attributes, circumstances, this.#rates)
    this.#rendered.set(id, { attributes, from: circumstances.from, effective })
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

function isStillSo(
  known: Rendered,
  { tier, labels, quarantined }: DeviceAttributes,
  { from, at }: { readonly from: string | undefined; readonly at: number },
): boolean {
  const { attributes, effective } = known
  if (attributes.tier !== tier || attributes.labels !== labels || attributes.quarantined !== quarantined) return false
  return isWithin(effective.term, at) && (known.from === from || !effective.dependsOnAddress)
}
