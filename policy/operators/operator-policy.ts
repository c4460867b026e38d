import type { ActName, Labels, OperatorName } from '#protocol'

/** The `operators:` of a policy file: what people may do. What no rule gives, nobody may. */
export interface OperatorPolicy {
  readonly roles: ReadonlyMap<string, readonly Grant[]>
  readonly bindings: readonly OperatorBinding[]
}

/** What one rule gives an operator. */
export interface Grant {
  /** `role/rule`. */
  readonly id: string
  /** `file:line:column`. */
  readonly at: string
  readonly acts: ReadonlySet<ActName>
  /** Only on devices that have all of these; none for every device. */
  readonly labels: Labels
  /** How many devices one act may be on; Infinity where nothing is said. */
  readonly maxDevices: number
}

/** Gives a role to operators by their names. */
export interface OperatorBinding {
  /** `file:line:column`. */
  readonly at: string
  readonly role: string
  readonly operators: readonly OperatorName[]
}
