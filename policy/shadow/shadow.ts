import type { DeviceId, Verdict } from '#protocol'
import { rolesOf } from '../deciding/bound-roles.js'
import type { EffectivePolicy } from '../deciding/effective.js'
import { renderPolicy } from '../deciding/render.js'
import { placesOf } from '../places.js'
import type { DeviceAttributes, Question, TopicPolicy } from '../policy.js'

export interface ShadowOptions {
  readonly inForce: TopicPolicy
  readonly candidate: TopicPolicy
  /** The moment by which conditions are judged, in milliseconds since 1970. */
  readonly at: number
  /** Undefined for a device that is not known, or kept out. */
  readonly attributesOf: (device: DeviceId) => DeviceAttributes | undefined
}

/** The rights of one device by both policies. */
export interface Pair {
  readonly device: DeviceAttributes
  /** Bound by either. */
  readonly roles: readonly string[]
  readonly now: EffectivePolicy
  readonly then: EffectivePolicy
}

/** Renderings kept at a time: the log is much the same devices again and again. */
const maxPairs = 4096

/**
 * The policy in force and one that could take its place, asked the same questions by the code that enforces. Nothing is
 * paid: the buckets of rates are of its own here, and always full.
 */
export class Shadow {
  readonly #options: ShadowOptions
  readonly #pairs = new Map<string, Pair | undefined>()
  readonly #places: Readonly<Record<'now' | 'then', ReadonlyMap<string, string>>>

  constructor(options: ShadowOptions) {
    this.#options = options
    this.#places = { now: placesOf(options.inForce), then: placesOf(options.candidate) }
  }

  pairFor(device: DeviceId, from: string | undefined): Pair | undefined {
    const key = `${device} ${from ?? ''}`
    if (this.#pairs.has(key)) return this.#pairs.get(key)
    const pair = this.#render(device, from)
    if (this.#pairs.size >= maxPairs) this.#pairs.clear()
    this.#pairs.set(key, pair)
    return pair
  }

  /** What is behind the answer to a question: more work than the answer. */
  verdict(which: 'now' | 'then', pair: Pair, question: Question): Verdict {
    const { decision, nearest } = pair[which].explain(question)
    const [deciding] = decision.rules
    return {
      effect: decision.effect,
      ...(decision.effect === 'deny' && { reason: decision.reason }),
      ...this.place(which, deciding ?? nearest?.rule),
      nearest: deciding === undefined && nearest !== undefined,
    }
  }

  place(which: 'now' | 'then', rule: string | undefined): Pick<Verdict, 'rule' | 'at'> {
    const at = rule === undefined ? undefined : this.#places[which].get(rule)
    return { ...(rule !== undefined && { rule }), ...(at !== undefined && { at }) }
  }

  #render(id: DeviceId, from: string | undefined): Pair | undefined {
    const { inForce, candidate, at, attributesOf } = this.#options
    const device = attributesOf(id)
    if (device === undefined) return undefined
    return {
      device,
      roles: [...new Set([...rolesOf(inForce, device), ...rolesOf(candidate, device)])].sort(),
      now: renderPolicy(inForce, device, { from, at }),
      then: renderPolicy(candidate, device, { from, at }),
    }
  }
}
