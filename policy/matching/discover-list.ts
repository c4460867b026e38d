import { ownLabel, patternOf } from '#protocol'
import type { DeviceAttributes, DiscoverRule, Offer, Variable } from '../policy.js'
import { hasValue, valueOf } from './template.js'

/** A rule as far as it is the same for all who look. */
interface Prepared {
  readonly rule: DiscoverRule
  readonly labels: readonly (readonly [label: string, wanted: string | Variable])[]
  /** Whether name and protocol fit. */
  readonly fits: (offer: Offer) => boolean
}

/** What a role lets a device see of the services of others; all devices of the role share it, as they do a RuleList. */
export class DiscoverList {
  readonly #rules: readonly Prepared[]

  constructor(rules: readonly DiscoverRule[]) {
    this.#rules = rules.map(prepare)
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0
  }

  get rules(): readonly DiscoverRule[] {
    return this.#rules.map(({ rule }) => rule)
  }

  /** The first that lets the device see it. One whose label the device lacks lets nobody see anything. */
  matching(offer: Offer, device: DeviceAttributes): DiscoverRule | undefined {
    return this.#rules.find(({ fits, labels }) => fits(offer) && hasAll(offer, labels, device))?.rule
  }

  /** Why it cannot be rendered for a device. */
  problemsFor(device: DeviceAttributes): readonly string[] {
    return this.#rules.flatMap(({ rule, labels }) =>
      labels.flatMap(([, wanted]) => {
        if (typeof wanted === 'string' || hasValue(wanted, device)) return []
        const name = wanted.device === 'id' ? 'device.id' : `device.labels.${wanted.label}`
        return [`${rule.at}: ${rule.id}: ${name} is missing`]
      }),
    )
  }
}

function prepare(rule: DiscoverRule): Prepared {
  const [service, protocol] = [anyOf(rule.services), anyOf(rule.protocols)]
  return {
    rule,
    labels: Object.entries(rule.labels),
    fits: (offer) => service(offer.service) && protocol(offer.protocol),
  }
}

function anyOf(patterns: readonly string[] | undefined): (text: string) => boolean {
  if (patterns === undefined) return () => true
  const tests = patterns.map(patternOf)
  return (text) => tests.some((fits) => fits(text))
}

function hasAll({ labels }: Offer, wanted: Prepared['labels'], device: DeviceAttributes): boolean {
  for (const [label, value] of wanted) {
    const expected = typeof value === 'string' ? value : valueOf(value, device)
    if (expected === undefined || ownLabel(labels, label) !== expected) return false
  }
  return true
}
