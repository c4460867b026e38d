import { formatLockTarget, type LockId, type LockMode, type LockTarget } from '#protocol'
import type { Lock } from '../state.js'
import { holdsAddress } from './address-range.js'
import type { Subject } from './subject.js'

/** Which lock is on somebody. What names one thing is looked up; only selectors and networks are tried one by one. */
export class LockIndex {
  readonly #named = new Map<string, readonly Lock[]>()
  readonly #tried = new Map<LockId, Tried>()

  constructor(locks: Iterable<Lock>) {
    for (const lock of locks) {
      const matches = matcherOf(lock.target)
      if (matches) this.#tried.set(lock.id, { lock, matches })
      else this.#named.set(nameOf(lock.target), [...(this.#named.get(nameOf(lock.target)) ?? []), lock])
    }
  }

  /** The strictest of those that are on the subject. */
  hit(subject: Subject): Lock | undefined {
    const named = this.#named.size === 0 ? [] : namesOf(subject).flatMap((name) => this.#named.get(name) ?? [])
    const tried = [...this.#tried.values()].filter(({ matches }) => matches(subject)).map(({ lock }) => lock)
    return [...named, ...tried].toSorted((one, other) => strictness[other.mode] - strictness[one.mode])[0]
  }
}

/** Whether a target is on the subject; for one that is only being thought of. */
export function isOn(target: LockTarget, subject: Subject): boolean {
  return matcherOf(target)?.(subject) ?? namesOf(subject).includes(nameOf(target))
}

interface Tried {
  readonly lock: Lock
  readonly matches: (subject: Subject) => boolean
}

const strictness: Readonly<Record<LockMode, number>> = { lock: 1, revoke: 2 }

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
function matcherOf(target: LockTarget): ((subject: Subject) => boolean) | undefined {
  if ('labels' in target) {
    const wanted = Object.entries(target.labels)
    return ({ labels }) => wanted.every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value)
  }
  if ('addresses' in target) {
    const holds = holdsAddress(target.addresses)
    return ({ address }) => address !== undefined && holds(address)
  }
  return undefined
}
