import type { Fingerprint } from './ids.js'

/** `enforce`: who does not satisfy the policy gets no certificate. `observe`: it gets one, of the tier `tpm`, and is on record. */
export const pcrPolicyModes = ['observe', 'enforce'] as const
export type PcrPolicyMode = (typeof pcrPolicyModes)[number]

/** `unjudged`: the PCRs were quoted, and no policy held for the profile. */
export const pcrOutcomes = ['good', 'bad', 'unjudged'] as const
export type PcrOutcome = (typeof pcrOutcomes)[number]

/** What was made of the PCRs that a device quoted: travels from the verifier to the device's record and to the audit log. */
export interface PcrVerdict {
  /** By which it was judged; absent with `unjudged`. */
  readonly policy?: PcrPolicyRef
  readonly outcome: PcrOutcome
  /** Why it is bad, one sentence each, beginning with a code. */
  readonly reasons: readonly string[]
  /** The quoted values of the SHA-256 bank, by the register's number; empty where no quote came. */
  readonly pcrs: Readonly<Record<string, Uint8Array>>
  /** SHA-256 of the event log that came with it. */
  readonly eventLog?: Fingerprint
}

/** One version of a PCR policy. */
export interface PcrPolicyRef {
  readonly name: string
  readonly version: number
  readonly mode: PcrPolicyMode
}
