import { type AuditTrail, messageOf, type OperatorFacts } from '#protocol'
import type { CheckedPolicy } from './checked-policy.js'
import type { PolicyFacts, PolicyVersions } from './policy-versions.js'

export interface PolicySwitchOptions {
  readonly versions: PolicyVersions
  readonly audit: AuditTrail
  /** Has what is active decide before it returns; answers how many sessions were looked at again, when all have been. */
  readonly recheck: () => Promise<number>
}

/** The policy that decides now, and how another one takes its place. */
export class PolicySwitch {
  readonly #options: PolicySwitchOptions
  #active: CheckedPolicy

  constructor(options: PolicySwitchOptions, active: CheckedPolicy) {
    this.#options = options
    this.#active = active
  }

  get active(): CheckedPolicy {
    return this.#active
  }

  /** Names the policy that decides what follows in the log. */
  record({ policy, hash }: CheckedPolicy, by: OperatorFacts, restores?: number): number {
    return this.#options.audit.append({
      event: 'policy.activate',
      policyVersion: policy.version,
      policyHash: hash,
      ...(restores !== undefined && { restores }),
      ...by,
    })
  }

  /**
   * First the store has it, then the log names it and it decides, in one step, and only when both are durable the next
   * start begins with it. Where one of them fails the old one is in force again, and on record as such.
   */
  async to(active: CheckedPolicy, facts: PolicyFacts, by: OperatorFacts): Promise<number> {
    const { versions, audit } = this.#options
    const before = this.#active
    await versions.keep(facts, active.source)
    try {
      const { record, rechecked } = this.#activate(active, by, facts)
      const [sessions] = await Promise.all([rechecked, audit.whenDurable(record)])
      await versions.begin({ ...facts, record })
      return sessions
    } catch (error) {
      if (this.#active === active) this.#back(before, by, error)
      else await versions.forget(facts.version).catch(() => undefined) // no record names it
      throw error
    }
  }

  /** In one turn of the event loop: no record behind this one is decided by the policy before. */
  #activate(active: CheckedPolicy, by: OperatorFacts, { restores }: Pick<PolicyFacts, 'restores'> = {}) {
    const record = this.record(active, by, restores)
    this.#active = active
    return { record, rechecked: this.#options.recheck() }
  }

  #back(before: CheckedPolicy, by: OperatorFacts, cause: unknown): void {
    const comment = `version ${this.#active.policy.version} could not be kept: ${messageOf(cause)}`.slice(0, 1024)
    try {
      this.#activate(before, { ...by, comment }).rechecked.catch(() => undefined)
    } catch {
      // The log takes nothing more, so nothing is decided that a record would have to explain.
      this.#active = before
      this.#options.recheck().catch(() => undefined)
    }
  }
}
