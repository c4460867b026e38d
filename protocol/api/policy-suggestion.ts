import type { TopicAction } from '../identity.js'
import type { PolicyMark } from './policy-impact.js'

/** A policy that allows no more than what was seen, as a proposal. Nothing applies it but an operator. */
export interface PolicySuggestion {
  readonly inForce: PolicyMark
  readonly looked: LookedAt
  readonly rules: readonly RuleSuggestion[]
  /** The whole file, with the next version; the one in force where nothing is proposed. */
  readonly source: string
  /** What it changes, as `diff -u` writes it, comments and all; both sides are laid out alike. */
  readonly diff: string
  /** Tests of the policy that the proposal would fail; they stand in the file as they did. */
  readonly failingTests: readonly string[]
}

/** What it rests on, and what it could not see. */
export interface LookedAt {
  readonly days: number
  readonly from: string
  readonly until: string
  /** Where the log begins, when it does not go back so far: what was used before then is not known. */
  readonly logBegins?: string
  readonly records: number
  /** What devices were allowed, live subscriptions and wills among it. */
  readonly allowed: number
  /** Refusals: nothing is proposed for them. */
  readonly denied: number
  /** Of devices that are not known any more, or kept out. */
  readonly unknownDevices: number
  /** Allowed then; by the policy in force and the devices as they are, not now. */
  readonly notAllowedNow: number
}

export interface RuleSuggestion {
  readonly rule: string
  /** In the policy in force. */
  readonly at: string
  readonly proposal: 'keep' | 'narrow' | 'remove'
  readonly count: number
  readonly lastUsed?: string
  /** As proposed; empty for one to be removed. */
  readonly actions: readonly TopicAction[]
  readonly topics: readonly string[]
}
