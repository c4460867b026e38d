import { isInside, type Network } from './networks.js'

/** The `when` of a binding: all that it names has to hold. */
export interface Conditions {
  /** The client is in one of them. */
  readonly networks?: readonly Network[]
  /** From this moment on, in milliseconds since 1970. */
  readonly notBefore?: number
  /** Until just before this moment. */
  readonly notAfter?: number
}

/** Where from and when something is asked. */
export interface Circumstances {
  /** The client's IP address. */
  readonly from?: string | undefined
  /** In milliseconds since 1970. */
  readonly at?: number | undefined
}

/** `unknown`: it depends on something that the circumstances do not tell, so it must open nothing. */
export type Holding = 'yes' | 'no' | 'unknown'

export function evaluate(conditions: Conditions, circumstances: Circumstances): Holding {
  return all([inNetworks(conditions, circumstances), inTime(conditions, circumstances)])
}

/** Of ways to come to the same: the best one counts. */
export function any(holdings: readonly Holding[]): Holding {
  if (holdings.includes('yes')) return 'yes'
  return holdings.includes('unknown') ? 'unknown' : 'no'
}

function all(holdings: readonly Holding[]): Holding {
  if (holdings.includes('no')) return 'no'
  return holdings.includes('unknown') ? 'unknown' : 'yes'
}

function inNetworks({ networks }: Conditions, { from }: Circumstances): Holding {
  if (networks === undefined) return 'yes'
  return holding(from === undefined ? undefined : isInside(networks, from))
}

function inTime({ notBefore, notAfter }: Conditions, { at }: Circumstances): Holding {
  if (notBefore === undefined && notAfter === undefined) return 'yes'
  return holding(
    at === undefined || Number.isNaN(at) ? undefined : (notBefore ?? -Infinity) <= at && at < (notAfter ?? Infinity),
  )
}

function holding(holds: boolean | undefined): Holding {
  return holds === undefined ? 'unknown' : holds ? 'yes' : 'no'
}

/** The addresses from which the same of some conditions hold. */
export class Whereabouts {
  readonly #networked: readonly Conditions[]
  readonly #holdings: string

  /** Those that are like this one. */
  constructor(networked: readonly Conditions[], from: string | undefined) {
    this.#networked = networked
    this.#holdings = holdingsAt(networked, from)
  }

  includes(from: string | undefined): boolean {
    return holdingsAt(this.#networked, from) === this.#holdings
  }
}

/** Undefined where nothing depends on the address. */
export function whereaboutsOf(conditions: readonly Conditions[], from: string | undefined): Whereabouts | undefined {
  const networked = conditions.filter(({ networks }) => networks !== undefined)
  return networked.length === 0 ? undefined : new Whereabouts(networked, from)
}

function holdingsAt(conditions: readonly Conditions[], from: string | undefined): string {
  return conditions.map((one) => inNetworks(one, { from })).join()
}

/** The time around a moment in which no time limit passes. */
export interface Term {
  /** Both in milliseconds since 1970. */
  readonly since: number
  /** The first moment at which it may be different. */
  readonly until: number
}

export const always: Term = { since: -Infinity, until: Infinity }

export function isWithin({ since, until }: Term, at: number): boolean {
  return since <= at && at < until
}

/** The time in which both last. */
export function shorter(one: Term, other: Term): Term {
  return { since: Math.max(one.since, other.since), until: Math.min(one.until, other.until) }
}

/** The term around a moment; without one nothing depends on time. */
export function termOf(conditions: readonly Conditions[], at: number | undefined): Term {
  const limits = conditions.flatMap(({ notBefore, notAfter }) => [notBefore ?? [], notAfter ?? []].flat())
  if (at === undefined || limits.length === 0) return always
  return {
    since: Math.max(-Infinity, ...limits.filter((limit) => limit <= at)),
    until: Math.min(Infinity, ...limits.filter((limit) => limit > at)),
  }
}
