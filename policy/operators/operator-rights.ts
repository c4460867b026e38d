import { type ActName, actNames, hasLabels, isLimitedBy, type Labels, type OperatorName } from '#protocol'
import type { TopicPolicy } from '../policy.js'
import type { Grant } from './operator-policy.js'

/** What an operator may do: the union of the grants of his roles. What none of them gives he may not do. */
export class OperatorRights {
  readonly grants: readonly Grant[]

  constructor(grants: readonly Grant[]) {
    this.grants = grants
  }

  may(act: ActName): boolean {
    return this.over(act).isSomething
  }

  /** On what. */
  over(act: ActName): Reach {
    return new Reach(this.grants.filter(({ acts }) => acts.has(act)).map((grant) => limitsOf(grant, act)))
  }

  /** Whether somebody with these rights can do all that one with the others can; exact where each is within one grant. */
  covers(others: OperatorRights): boolean {
    return others.grants.every((other) =>
      [...other.acts].every((act) => {
        const wanted = limitsOf(other, act)
        return this.over(act).includes(wanted.labels, wanted.maxDevices)
      }),
    )
  }
}

interface Limits {
  readonly labels: Labels
  readonly maxDevices: number
}

/** On what an operator may do one act. */
export class Reach {
  readonly #limits: readonly Limits[]

  constructor(limits: readonly Limits[]) {
    this.#limits = limits
  }

  get isSomething(): boolean {
    return this.#limits.length > 0
  }

  get isEverything(): boolean {
    return this.includes({}, Infinity)
  }

  /** Whether one rule allows it on so many devices with these labels, or more of them, at once. */
  includes(labels: Labels, devices = 1): boolean {
    return this.#limits.some(({ labels: wanted, maxDevices }) => devices <= maxDevices && hasLabels(labels, wanted))
  }
}

function limitsOf({ labels, maxDevices }: Grant, act: ActName): Limits {
  return { labels, maxDevices: isLimitedBy(act, 'maxDevices') ? maxDevices : Infinity }
}

/** What one who holds the installation itself may do, whatever a policy says. */
export const everyRight = new OperatorRights([
  { id: 'admin/everything', at: 'built in', acts: new Set(actNames), labels: {}, maxDevices: Infinity },
])

/** What a policy lets an operator do; one without `operators:`, nothing. */
export function operatorRights({ operators }: Pick<TopicPolicy, 'operators'>, operator: OperatorName): OperatorRights {
  const bound = (operators?.bindings ?? []).filter((binding) => binding.operators.includes(operator))
  const roles = new Set(bound.map(({ role }) => role))
  return new OperatorRights([...roles].flatMap((role) => operators?.roles.get(role) ?? []))
}
