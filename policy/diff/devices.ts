import type { DeviceId, PolicyDiff } from '#protocol'
import { bindingsOf } from '../deciding/bound-roles.js'
import type { Binding, DeviceAttributes, TopicPolicy } from '../policy.js'
import { diffPolicies } from './policies.js'

/** Of those whom a change is about, so many are named. */
const maxNamed = 5

/** What a change does to devices with the same bindings. */
interface Effect {
  readonly otherRoles: boolean
  readonly brings: ReadonlySet<'more' | 'less' | 'other'>
}

/**
 * Whom the difference between two policies is about. Devices that the same bindings match get the same from both, so it
 * is worked out once for all of these; what a missing label withholds is not looked at.
 */
export class AffectedDevices {
  readonly #from: TopicPolicy
  readonly #to: TopicPolicy
  readonly #effects = new Map<string, Effect>()
  #known = 0
  readonly #affected = { otherRoles: new Group(), more: new Group(), less: new Group(), other: new Group() }

  constructor(from: TopicPolicy, to: TopicPolicy) {
    this.#from = from
    this.#to = to
  }

  add(device: DeviceAttributes): void {
    const { otherRoles, brings } = this.#effectOn(bindingsOf(this.#from, device), bindingsOf(this.#to, device))
    this.#known++
    if (otherRoles) this.#affected.otherRoles.add(device.id)
    for (const effect of brings) this.#affected[effect].add(device.id)
  }

  get view(): PolicyDiff['devices'] {
    const { otherRoles, more, less, other } = this.#affected
    return { known: this.#known, otherRoles: otherRoles.view, more: more.view, less: less.view, other: other.view }
  }

  #effectOn(before: readonly Binding[], after: readonly Binding[]): Effect {
    const key = [before, after].map((bindings) => bindings.map(({ at }) => at).join()).join(' ')
    let effect = this.#effects.get(key)
    if (!effect) this.#effects.set(key, (effect = this.#workOut(before, after)))
    return effect
  }

  #workOut(before: readonly Binding[], after: readonly Binding[]): Effect {
    const [older, newer] = [narrowedTo(before, this.#from), narrowedTo(after, this.#to)]
    const names = ({ roles }: TopicPolicy) => [...roles.keys()].toSorted().join()
    return {
      otherRoles: names(older) !== names(newer),
      brings: new Set(diffPolicies(older, newer).map(({ brings }) => brings)),
    }
  }
}

/** As if there were nobody else. */
function narrowedTo(
  bindings: readonly Binding[],
  { operators: _, quarantineRole: __, ...policy }: TopicPolicy,
): TopicPolicy {
  const bound = new Set(bindings.map(({ role }) => role))
  return { ...policy, bindings, roles: new Map([...policy.roles].filter(([name]) => bound.has(name))) }
}

class Group {
  #count = 0
  readonly #first: DeviceId[] = []

  add(device: DeviceId): void {
    if (this.#count++ < maxNamed) this.#first.push(device)
  }

  get view(): PolicyDiff['devices']['more'] {
    return { count: this.#count, first: [...this.#first] }
  }
}
