import { CodedError } from '#protocol'

/** What can be wrong with a policy file. None of them leaves anything open: the file is refused as a whole. */
export type PolicyErrorCode =
  | 'POLICY_EMPTY' //          nothing in it, or only comments
  | 'POLICY_SYNTAX' //         not YAML or JSON, or a part of YAML that a policy does not use (aliases, tags)
  | 'POLICY_DUPLICATE' //      the same key or id twice
  | 'POLICY_UNKNOWN_KEY' //    a key that means nothing here; a misspelt limit must not be no limit
  | 'POLICY_INVALID_VALUE' //  missing, of the wrong kind, or out of range
  | 'POLICY_INVALID_TOPIC' //  not a topic filter, a variable that is not a whole level, or a reserved tree
  | 'POLICY_UNKNOWN_ROLE' //   a binding names a role that is not there
  | 'POLICY_NO_RECEIVE' //     a role may subscribe and receive nothing
  | 'POLICY_NO_EFFECT' //      a constraint on a rule that it cannot constrain
  | 'POLICY_LIMIT' //          over one of `policyLimits`

export class PolicyError extends CodedError<PolicyErrorCode> {
  /** `file:line:column`. */
  readonly at: string
  readonly problem: string

  constructor(code: PolicyErrorCode, at: string, problem: string, options?: ErrorOptions) {
    super(code, `${at}: ${problem}`, options)
    this.at = at
    this.problem = problem
  }
}
