import {
  type ApplyPolicyAnswer,
  type AuditTrail,
  type DeviceId,
  type ExplainRequest,
  type Explanation,
  messageOf,
  type OperatorFacts,
  type OperatorName,
  type PolicyView,
  type RollbackPolicyAnswer,
} from '#protocol'
import {
  type DeviceAttributes,
  type EffectivePolicy,
  type OperatorRights,
  RateLimiter,
  renderPolicy,
  rolesOf,
} from '#policy'
import type { Store } from '#store'
import { answerOf, type CheckedPolicy, checkPolicy, fileInForce, restorePolicy } from './checked-policy.js'
import { ServerError } from './errors.js'
import { operatorRightsIn } from './operator-rights.js'
import { requireNotLockedOut, requireSuccessor } from './policy-admission.js'
import { circumstancesOf, questionOf } from './policy-questions.js'
import { factsOf, type PolicyFacts, type PolicyVersion, PolicyVersions } from './policy-versions.js'
import { RenderedRights } from './rendered-rights.js'

export interface PolicyInForceOptions {
  readonly store: Store
  readonly audit: AuditTrail
  /** Who a device is to a policy; undefined when the registry does not know it. */
  readonly attributesOf: (device: DeviceId) => DeviceAttributes | undefined
  readonly now: () => number
}

export interface ApplyOptions {
  /** Named in messages, as `file:line:column`. */
  readonly file: string
  readonly dryRun: boolean
  readonly by: OperatorFacts
}

export interface RollbackOptions extends Pick<ApplyOptions, 'dryRun' | 'by'> {
  /** Default: the one that was in force before. */
  readonly version?: number | undefined
}

/** Has the new policy decide before it returns; answers how many sessions it has looked at again, when it has. */
type Recheck = () => number | Promise<number>

/**
 * The one policy that decides now, and its rendering for each device. A policy that cannot be read or fails its own
 * tests changes nothing: the old one stays in force.
 */
export class PolicyInForce {
  readonly #options: PolicyInForceOptions
  readonly #rates: RateLimiter
  readonly #rendered: RenderedRights
  readonly #listeners = new Set<Recheck>()
  readonly #versions: PolicyVersions
  #active: CheckedPolicy
  #changing: Promise<unknown> = Promise.resolve()

  /** Puts in force what was in force last; at the very first start, `firstSource`. @throws PolicyError */
  static async open(options: PolicyInForceOptions, firstSource: string, by: OperatorFacts): Promise<PolicyInForce> {
    const versions = await PolicyVersions.open(options.store)
    const { current } = versions
    const active = checkPolicy(current === undefined ? firstSource : await versions.source(current), fileInForce)
    const inForce = new PolicyInForce(options, versions, active)
    const facts = factsOf(active, by, options.now())
    if (current === undefined) await versions.keep(facts, active.source)
    // At every start, so that the log alone tells which policy decided what follows.
    const record = inForce.#record(active, { ...by, comment: 'in force at start' })
    await options.audit.whenDurable(record)
    if (current === undefined) await versions.begin({ ...facts, record })
    return inForce
  }

  private constructor(options: PolicyInForceOptions, versions: PolicyVersions, active: CheckedPolicy) {
    this.#options = options
    this.#rates = new RateLimiter({ now: options.now })
    this.#rendered = new RenderedRights(this.#rates, (device, problem) => this.#recordRenderError(device, problem))
    this.#versions = versions
    this.#active = active
  }

  get view(): PolicyView {
    const { policy, hash, source } = this.#active
    return { version: policy.version, hash, source }
  }

  /** Those that were in force, newest first. */
  get versions(): readonly PolicyVersion[] {
    return this.#versions.inForceOnce
  }

  /** One of them, as it was written. @throws ServerError NOT_FOUND, POLICY_MISSING */
  async versionOf(version: number): Promise<{ readonly facts: PolicyVersion; readonly source: string }> {
    return { facts: this.#versions.facts(version), source: await this.#versions.source(version) }
  }

  /**
   * The rights of a device now, for a client at this address; none when the registry does not know it. Rendered once for
   * each change of what they depend on.
   */
  effectiveFor(device: DeviceId, from: string | undefined): EffectivePolicy | undefined {
    const attributes = this.#options.attributesOf(device)
    if (attributes === undefined) {
      this.#rendered.forget(device)
      return undefined
    }
    return this.#rendered.of(this.#active.policy, attributes, { from, at: this.#options.now() })
  }

  /**
   * Checks, and unless it is a dry run puts in force: at once for every decision and live session, answered when durable.
   * @throws PolicyError; ServerError POLICY_TESTS_FAILED, POLICY_VERSION; StoreError: then the old one is in force
   */
  apply(source: string, { file, dryRun, by }: ApplyOptions): Promise<ApplyPolicyAnswer> {
    return this.#inTurn(async () => {
      const active = this.#examine(() => checkPolicy(source, file), by)
      if (dryRun || active.hash === this.#active.hash) return answerOf(active, dryRun, 0)
      return answerOf(active, dryRun, await this.#putInForce(active, factsOf(active, by, this.#options.now()), by))
    })
  }

  /**
   * Puts what an earlier version said in force again, as a version of its own and under the same checks.
   * @throws as `apply`; ServerError NOT_FOUND
   */
  rollback({ version, dryRun, by }: RollbackOptions): Promise<RollbackPolicyAnswer> {
    return this.#inTurn(async () => {
      const restores = version ?? this.#versions.before(this.#active.policy.version)
      const source = await this.#versions.source(restores)
      const active = this.#examine(
        () => restorePolicy({ version: restores, source }, this.#versions.next, this.#active),
        by,
      )
      const answer = (sessions: number) => ({ ...answerOf(active, dryRun, sessions), restores })
      if (dryRun) return answer(0)
      return answer(await this.#putInForce(active, { ...factsOf(active, by, this.#options.now()), restores }, by))
    })
  }

  /** @throws ServerError NOT_FOUND, REQUEST_INVALID; ProtocolError INVALID_TOPIC */
  explain(request: ExplainRequest): Explanation {
    const known = this.#options.attributesOf(request.as.id)
    const tier = request.as.tier ?? known?.tier
    if (tier === undefined) {
      throw new ServerError(
        'NOT_FOUND',
        `device ${request.as.id} is not known; to ask about one to come, give its tier`,
      )
    }
    const { id, labels = known?.labels ?? {} } = request.as
    const attributes = { id, tier, labels, quarantined: known?.quarantined ?? false }
    const circumstances = circumstancesOf(request, this.#options.now())
    return renderPolicy(this.#active.policy, attributes, circumstances, this.#rates).explain(questionOf(request))
  }

  /** What an operator may do; the one who holds the data folder, everything, whatever a policy says. */
  rightsOf(operator: OperatorName): OperatorRights {
    return operatorRightsIn(this.#active.policy, operator)
  }

  /** The roles of a device, whether or not it is known, under whatever conditions. */
  rolesOf(device: DeviceAttributes): readonly string[] {
    return rolesOf(this.#active.policy, device)
  }

  /** Whether a device can be put into quarantine, or has to be kept out instead. */
  get hasQuarantine(): boolean {
    return this.#active.policy.quarantineRole !== undefined
  }

  /** Called when another policy has come into force. */
  onChange(recheck: Recheck): void {
    this.#listeners.add(recheck)
  }

  /** One change after the other: each is judged by what the one before has left in force. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#changing.then(change)
    this.#changing = turn.catch(() => undefined)
    return turn
  }

  /** A refused policy is on record too: somebody tried to change what holds for everyone. */
  #examine(read: () => CheckedPolicy, by: OperatorFacts): CheckedPolicy {
    try {
      const active = read()
      requireSuccessor(active, this.#active, this.#versions)
      requireNotLockedOut(by.operator, active.policy, this.#active.policy)
      return active
    } catch (error) {
      const reason = error instanceof Error && 'code' in error ? String(error.code) : 'INTERNAL'
      const problem = error instanceof Error ? error.message.slice(0, 1024) : ''
      this.#options.audit.append({ event: 'policy.refuse', ...by, reason, problem })
      throw error
    }
  }

  /**
   * First the store has it, then the log names it and it decides, in one step, and only when both are durable the next
   * start begins with it. Where one of them fails the old one is in force again, and on record as such.
   */
  async #putInForce(active: CheckedPolicy, facts: PolicyFacts, by: OperatorFacts): Promise<number> {
    const before = this.#active
    await this.#versions.keep(facts, active.source)
    try {
      const { record, rechecked } = this.#switchTo(active, by, facts)
      const [sessions] = await Promise.all([rechecked, this.#options.audit.whenDurable(record)])
      await this.#versions.begin({ ...facts, record })
      return sessions
    } catch (error) {
      if (this.#active === active) this.#switchBack(before, by, error)
      else await this.#versions.forget(facts.version).catch(() => undefined) // no record names it
      throw error
    }
  }

  /** In one turn of the event loop: no record behind this one is decided by the policy before. */
  #switchTo(active: CheckedPolicy, by: OperatorFacts, { restores }: Pick<PolicyFacts, 'restores'> = {}) {
    const record = this.#record(active, by, restores)
    this.#active = active
    return { record, rechecked: this.#recheck() }
  }

  #switchBack(before: CheckedPolicy, by: OperatorFacts, cause: unknown): void {
    const comment = `version ${this.#active.policy.version} could not be kept: ${messageOf(cause)}`.slice(0, 1024)
    try {
      this.#switchTo(before, { ...by, comment }).rechecked.catch(() => undefined)
    } catch {
      // The log takes nothing more, so nothing is decided that a record would have to explain.
      this.#active = before
      this.#recheck().catch(() => undefined)
    }
  }

  /** How many sessions were looked at again, when all have been. */
  async #recheck(): Promise<number> {
    this.#rendered.clear()
    const counts = await Promise.all([...this.#listeners].map(async (recheck) => recheck()))
    return counts.reduce((sum, count) => sum + count, 0)
  }

  #record({ policy, hash }: CheckedPolicy, by: OperatorFacts, restores?: number): number {
    return this.#options.audit.append({
      event: 'policy.activate',
      policyVersion: policy.version,
      policyHash: hash,
      ...(restores !== undefined && { restores }),
      ...by,
    })
  }

  #recordRenderError(device: DeviceId, comment: string): void {
    this.#options.audit.append({
      event: 'policy.render_error',
      device,
      policyVersion: this.#active.policy.version,
      comment,
    })
  }
}
