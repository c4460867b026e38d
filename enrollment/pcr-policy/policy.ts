import type { PcrPolicyMode, ProfileName } from '#protocol'

/**
 * The reference values (RFC 9334 §8.3) that the PCRs of devices are held against: what machines of some profiles are to
 * have measured since they were switched on.
 */
export interface PcrPolicy {
  readonly name: string
  readonly mode: PcrPolicyMode
  /** Each profile has at most one policy. */
  readonly profiles: readonly ProfileName[]
  /** At every so many renewals the PCRs are to be quoted again. Absent: as the certificate's tier asks. */
  readonly attestEvery?: number
  /** Which registers of the SHA-256 bank are quoted, and what may be in each; with `any`, whatever the event log leads to. */
  readonly pcrs: ReadonlyMap<number, 'any' | readonly AcceptedValue[]>
  readonly events: EventRules
  /** Whether a device is asked for its firmware's event log. */
  readonly eventLog: boolean
}

/** A version of it that holds now. */
export interface PcrPolicyInForce extends PcrPolicy {
  readonly version: number
}

/** By which policy the devices of a profile are judged, if by any. */
export type PcrPolicyFor = (profile: ProfileName) => PcrPolicyInForce | undefined

/** A value that is good, for some time or for good: during a firmware campaign the old and the new one both are. */
export interface AcceptedValue {
  /** Lowercase hex. */
  readonly value: string
  /** Milliseconds since 1970: good from then on. */
  readonly from?: number
  /** And until then, not included. */
  readonly until?: number
}

/** What the events have to say; counts only where the log leads to the quoted value of its register. */
export interface EventRules {
  readonly secureBoot: boolean
  /** Of each rule one of its digests was measured; maybe among others. */
  readonly require: readonly EventRule[]
  /** Of each rule nothing but its digests was. */
  readonly only: readonly EventRule[]
  /** None of these was. */
  readonly forbid: readonly EventRule[]
}

/** On the digests of one register. Not on the kinds of events: a machine calls them what it likes, and no PCR knows. */
export interface EventRule {
  readonly pcr: number
  /** SHA-256, lowercase hex. */
  readonly digests: readonly string[]
  /** Told where the rule is broken. */
  readonly comment?: string
}

/** Into which register firmware measures whether Secure Boot is on, and by which keys (PC Client Profile §3.3.4.8). */
export const secureBootPcr = 7
