import {
  type DeviceId,
  formatLockTarget,
  hasLabels,
  type KeyIdentifier,
  type Labels,
  type LockId,
  type LockMode,
  type LockTarget,
  type Tier,
} from '#protocol'
import type { Lock } from '../state.js'
import { holdsAddress } from './address-range.js'
import type { Subject } from './subject.js'

/** The roles that policy binds to a device; it may throw. */
export type RolesOf = (device: {
  readonly id: DeviceId
  readonly tier: Tier
  readonly labels: Labels
}) => readonly string[]

/** Which lock is on somebody. What names one thing is looked up; only selectors and networks are tried one by one. */
export class LockIndex {
  readonly #named = new Map<string, readonly Lock[]>()
  readonly #tried = new Map<LockId, Tried>()

  constructor(locks: Iterable<Lock>, rolesOf: RolesOf) {
    for (const lock of locks) {
      const matches = matcherOf(lock.target, rolesOf)
      if (matches) this.#tried.set(lock.id, { lock, matches })
      else this.#named.set(nameOf(lock.target), [...(this.#named.get(nameOf(lock.target)) ?? []), lock])
    }
  }

  get isEmpty(): boolean {
    return this.#named.size === 0 && this.#tried.size === 0
  }

  /** The strictest of those that are on the subject. */
  hit(subject: Subject): Lock | undefined {
    return this.hits(subject).toSorted((one, other) => strictness[other.mode] - strictness[one.mode])[0]
  }

  /** All that are on the subject. */
  hits(subject: Subject): readonly Lock[] {
    const named = this.#named.size === 0 ? [] : namesOf(subject).flatMap((name) => this.#named.get(name) ?? [])
    const tried = [...this.#tried.values()].filter(({ matches }) => matches(subject)).map(({ lock }) => lock)
    return [...named, ...tried]
  }
}

/** Whether a target is on the subject; for one that is only being thought of. */
export function isOn(target: LockTarget, subject: Subject, rolesOf: RolesOf): boolean {
  return matcherOf(target, rolesOf)?.(subject) ?? namesOf(subject).includes(nameOf(target))
}

interface Tried {
  readonly lock: Lock
  readonly matches: (subject: Subject) => boolean
}

const strictness: Readonly<Record<LockMode, number>> = { quarantine: 1, lock: 2, revoke: 3 }

const nameOf = formatLockTarget

function namesOf({ device, profile, eks, instances, tokens }: Subject): readonly string[] {
  return [
    nameOf({ device }),
    nameOf({ profile }),
    ...eks.map((ek) => nameOf({ ek })),
    ...instances.map((instance) => nameOf({ instance })),
    ...tokens.map((token) => nameOf({ token })),
  ]
}

/** Undefined for a target that is one name. */
function matcherOf(target: LockTarget, rolesOf: RolesOf): ((subject: Subject) => boolean) | undefined {
  if ('labels' in target) return ({ labels }) => hasLabels(labels, target.labels)
  if ('addresses' in target) {
    const holds = holdsAddress(target.addresses)
    return ({ address }) => address !== undefined && holds(address)
  }
  if ('issuer' in target) return ({ issuer }) => isSignedBy(target.issuer, issuer)
  if ('role' in target) return (subject) => hasRole(subject, target.role, rolesOf)
  return undefined
}

/** Where it is not known who has signed, it is taken to be this one. */
export function isSignedBy(wanted: KeyIdentifier, issuer: KeyIdentifier | 'unknown' | undefined): boolean {
  return issuer === wanted || issuer === 'unknown'
}

/** Where the roles cannot be told it is taken to have it: a lock that cannot be applied must not open anything. */
function hasRole({ device: id, tier, labels }: Subject, role: string, rolesOf: RolesOf): boolean {
  try {
    return tier !== undefined && rolesOf({ id, tier, labels }).includes(role)
  } catch {
    return true
  }
}
