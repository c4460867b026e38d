import {
  type ApplyPolicyAnswer,
  type AuditTrail,
  type DeviceId,
  type ExplainRequest,
  type Explanation,
  type OfferedService,
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
  type Reach,
  renderPolicy,
  rolesOf,
  type TopicPolicy,
} from '#policy'
import type { Store } from '#store'
import { answerOf, type CheckedPolicy, checkPolicy, fileInForce, restorePolicy } from './checked-policy.js'
import { operatorRightsIn } from './operator-rights.js'
import { requireNotLockedOut, requireRoom, requireSuccessor } from './policy-admission.js'
import { type PolicyReader, readHere } from './policy-reader.js'
import { circumstancesOf, questionOf, subjectOf } from './policy-questions.js'
import { PolicySwitch } from './policy-switch.js'
import { factsOf, type PolicyVersion, PolicyVersions } from './policy-versions.js'
import { RenderedRights } from './rendered-rights.js'

export interface PolicyInForceOptions {
  readonly store: Store
  readonly audit: AuditTrail
  /** Who a device is to a policy; undefined when the registry does not know it. */
  readonly attributesOf: (device: DeviceId) => DeviceAttributes | undefined
  /** A service that a device offers now. Default: none */
  readonly serviceOf?: (device: DeviceId, service: string) => OfferedService | undefined
  readonly now: () => number
  /** Default: in this thread. */
  readonly reader?: PolicyReader
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

/** Has the new policy decide before it returns; answers how many sessions it has looked at again, if any, when it has. */
type Recheck = () => number | undefined | Promise<number>

/**
 * The one policy that decides now, and its rendering for each device. A policy that cannot be read or fails its own
 * tests changes nothing: the old one stays in force.
 */
export class PolicyInForce {
  readonly #options: PolicyInForceOptions
  readonly #reader: PolicyReader
  readonly #rates: RateLimiter
  readonly #rendered: RenderedRights
  readonly #listeners = new Set<Recheck>()
  readonly #versions: PolicyVersions
  readonly #switch: PolicySwitch
  #changing: Promise<unknown> = Promise.resolve()

  /** Puts in force what was in force last; at the very first start, `firstSource`. @throws PolicyError */
  static async open(options: PolicyInForceOptions, firstSource: string, by: OperatorFacts): Promise<PolicyInForce> {
    const versions = await PolicyVersions.open(options.store)
    const { current } = versions
    const source = current === undefined ? firstSource : await versions.source(current)
    const active = await checkPolicy(readHere, source, fileInForce)
    if (current === undefined) requireRoom(active.policy.version, versions)
    const inForce = new PolicyInForce(options, versions, active)
    const facts = factsOf(active, by, options.now())
    if (current === undefined) await versions.keep(facts, active.source)
    // At every start, so that the log alone tells which policy decided what follows.
    const record = inForce.#switch.record(active, { ...by, comment: 'in force at start' })
    await options.audit.whenDurable(record)
    if (current === undefined) await versions.begin({ ...facts, record })
    return inForce
  }

  private constructor(options: PolicyInForceOptions, versions: PolicyVersions, active: CheckedPolicy) {
    this.#options = options
    this.#reader = options.reader ?? readHere
    this.#rates = new RateLimiter({ now: options.now })
    this.#rendered = new RenderedRights(this.#rates, (device, problem) => this.#recordRenderError(device, problem))
    this.#versions = versions
    this.#switch = new PolicySwitch({ versions, audit: options.audit, recheck: () => this.#recheck() }, active)
  }

  /** Any policy, as this one was read. @throws PolicyError */
  read(source: string, file: string): Promise<TopicPolicy> {
    return this.#reader.parse(source, file)
  }

  get view(): PolicyView {
    const { policy, hash, source } = this.#switch.active
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
    return this.#rendered.of(this.#switch.active.policy, attributes, { from, at: this.#options.now() })
  }

  /**
   * Checks, and unless it is a dry run puts in force: at once for every decision and live session, answered when durable.
   * @throws PolicyError; ServerError POLICY_TESTS_FAILED, POLICY_VERSION; StoreError: then the old one is in force
   */
  apply(source: string, { file, dryRun, by }: ApplyOptions): Promise<ApplyPolicyAnswer> {
    return this.#inTurn(async () => {
      const active = await this.#examine(() => checkPolicy(this.#reader, source, file), by)
      if (dryRun || active.hash === this.#switch.active.hash) return answerOf(active, dryRun, 0)
      return answerOf(active, dryRun, await this.#switch.to(active, factsOf(active, by, this.#options.now()), by))
    })
  }

  /**
   * Puts what an earlier version said in force again, as a version of its own and under the same checks.
   * @throws as `apply`; ServerError NOT_FOUND
   */
  rollback({ version, dryRun, by }: RollbackOptions): Promise<RollbackPolicyAnswer> {
    return this.#inTurn(async () => {
      const restores = version ?? this.#versions.before(this.#switch.active.policy.version)
      const source = await this.#versions.source(restores)
      const earlier = { version: restores, source }
      const now = { version: this.#versions.next, inForce: this.#switch.active }
      const active = await this.#examine(() => restorePolicy(this.#reader, earlier, now), by)
      const answer = (sessions: number) => ({ ...answerOf(active, dryRun, sessions), restores })
      if (dryRun) return answer(0)
      return answer(await this.#switch.to(active, { ...factsOf(active, by, this.#options.now()), restores }, by))
    })
  }

  /**
   * For one who may see devices with these labels: any other is as good as not known to him.
   * @throws ServerError NOT_FOUND, REQUEST_INVALID; ProtocolError INVALID_TOPIC
   */
  explain(request: ExplainRequest, seen: Pick<Reach, 'includes'>): Explanation {
    const device = this.#options.attributesOf(request.as.id)
    const known = device && seen.includes(device.labels) ? device : undefined
    const rates = known && this.#rates // what is left in the buckets tells how much a device has said
    const circumstances = circumstancesOf(request, this.#options.now())
    const { policy } = this.#switch.active
    const serviceOf = (id: DeviceId, service: string) => {
      const offered = this.#options.serviceOf?.(id, service)
      return offered && seen.includes(offered.labels) ? offered : undefined
    }
    const question = questionOf(request, serviceOf)
    return renderPolicy(policy, subjectOf(request, known), circumstances, rates).explain(question)
  }

  /** What an operator may do; the one who holds the data folder, everything, whatever a policy says. */
  rightsOf(operator: OperatorName): OperatorRights {
    return operatorRightsIn(this.#switch.active.policy, operator)
  }

  /** The roles of a device, whether or not it is known, under whatever conditions. */
  rolesOf(device: DeviceAttributes): readonly string[] {
    return rolesOf(this.#switch.active.policy, device)
  }

  /** Whether a device can be put into quarantine, or has to be kept out instead. */
  get hasQuarantine(): boolean {
    return this.#switch.active.policy.quarantineRole !== undefined
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
  async #examine(read: () => Promise<CheckedPolicy>, by: OperatorFacts): Promise<CheckedPolicy> {
    try {
      const active = await read()
      requireSuccessor(active, this.#switch.active, this.#versions)
      requireNotLockedOut(by.operator, active.policy, this.#switch.active.policy)
      return active
    } catch (error) {
      const reason = error instanceof Error && 'code' in error ? String(error.code) : 'INTERNAL'
      const problem = error instanceof Error ? error.message.slice(0, 1024) : ''
      this.#options.audit.append({ event: 'policy.refuse', ...by, reason, problem })
      throw error
    }
  }

  /** How many sessions were looked at again, when all have been. */
  async #recheck(): Promise<number> {
    this.#rendered.clear()
    const counts = await Promise.all([...this.#listeners].map(async (recheck) => recheck()))
    return counts.reduce<number>((sum, count = 0) => sum + count, 0)
  }

  #recordRenderError(device: DeviceId, comment: string): void {
    this.#options.audit.append({
      event: 'policy.render_error',
      device,
      policyVersion: this.#switch.active.policy.version,
      comment,
    })
  }
}
