import {
  type ApplyPolicyAnswer,
  type AuditTrail,
  type DeviceId,
  type ExplainRequest,
  type Explanation,
  type Fingerprint,
  type OperatorFacts,
  type OperatorName,
  parseTopicFilter,
  parseTopicName,
  type PolicyView,
} from '#protocol'
import {
  type Circumstances,
  type DeviceAttributes,
  type EffectivePolicy,
  everyRight,
  isWithin,
  operatorRights,
  type OperatorRights,
  parseAddress,
  parsePolicy,
  parseTime,
  policyHash,
  type Question,
  RateLimiter,
  renderPolicy,
  rolesOf,
  runPolicyTests,
  type TopicPolicy,
} from '#policy'
import type { Store } from '#store'
import { ServerError } from './errors.js'
import { localAdmin } from './local-admin.js'

const currentKey = 'server/policy/current'
const versionKey = (version: number) => `server/policy/version/${String(version).padStart(16, '0')}`

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

interface Active {
  readonly policy: TopicPolicy
  readonly hash: Fingerprint
  readonly source: string
}

interface Rendered {
  readonly attributes: DeviceAttributes
  readonly from: string | undefined
  readonly effective: EffectivePolicy
}

/**
 * The one policy that decides now, and its rendering for each device. A policy that cannot be read or fails its own
 * tests changes nothing: the old one stays in force.
 */
export class PolicyInForce {
  readonly #options: PolicyInForceOptions
  readonly #rates: RateLimiter
  readonly #rendered = new Map<DeviceId, Rendered>()
  readonly #listeners = new Set<() => number>()
  #active: Active

  /** Puts in force what was in force last; at the very first start, `firstSource`. @throws PolicyError */
  static async open(options: PolicyInForceOptions, firstSource: string, by: OperatorFacts): Promise<PolicyInForce> {
    const stored = await readCurrent(options.store)
    const active = check(stored ?? firstSource, 'policy.yaml')
    const inForce = new PolicyInForce(options, active)
    // At every start, so that the log alone tells which policy decided what follows.
    const sequence = inForce.#recordActivation(active, { ...by, comment: 'in force at start' })
    await options.audit.whenDurable(sequence)
    if (stored === undefined) await inForce.#keep(active)
    return inForce
  }

  private constructor(options: PolicyInForceOptions, active: Active) {
    this.#options = options
    this.#rates = new RateLimiter({ now: options.now })
    this.#active = active
  }

  get view(): PolicyView {
    const { policy, hash, source } = this.#active
    return { version: policy.version, hash, source }
  }

  /**
   * The rights of a device now, for a client at this address; none when the registry does not know it. Rendered once for
   * each change of what they depend on.
   */
  effectiveFor(device: DeviceId, from: string | undefined): EffectivePolicy | undefined {
    const attributes = this.#options.attributesOf(device)
    if (attributes === undefined) {
      this.#rendered.delete(device)
      return undefined
    }
    const at = this.#options.now()
    const known = this.#rendered.get(device)
    if (known && isStillSo(known, attributes, { from, at })) return known.effective
    const effective = renderPolicy(this.#active.policy, attributes, { from, at }, this.#rates)
    this.#rendered.set(device, { attributes, from, effective })
    for (const comment of effective.renderErrors) this.#recordRenderError(device, comment)
    return effective
  }

  /**
   * Checks, and unless it is a dry run puts in force: at once for every decision and live session, answered when durable.
   * @throws PolicyError; ServerError POLICY_TESTS_FAILED, POLICY_VERSION
   */
  async apply(source: string, { file, dryRun, by }: ApplyOptions): Promise<ApplyPolicyAnswer> {
    const { active, passed } = this.#examine(source, file, by)
    const answer = { version: active.policy.version, hash: active.hash, tests: { passed }, dryRun }
    if (dryRun || active.hash === this.#active.hash) return { ...answer, sessions: 0 }
    const sequence = this.#recordActivation(active, by)
    this.#active = active
    this.#rendered.clear()
    const sessions = [...this.#listeners].reduce((sum, recheck) => sum + recheck(), 0)
    await this.#options.audit.whenDurable(sequence)
    await this.#keep(active)
    return { ...answer, sessions }
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
    const attributes = { id: request.as.id, tier, labels: request.as.labels ?? known?.labels ?? {} }
    const circumstances = circumstancesOf(request, this.#options.now())
    return renderPolicy(this.#active.policy, attributes, circumstances, this.#rates).explain(questionOf(request))
  }

  /** What an operator may do; the one who holds the data folder, everything, whatever a policy says. */
  rightsOf(operator: OperatorName): OperatorRights {
    return rightsIn(this.#active.policy, operator)
  }

  /** The roles of a device, whether or not it is known, under whatever conditions. */
  rolesOf(device: DeviceAttributes): readonly string[] {
    return rolesOf(this.#active.policy, device)
  }

  /** Called when another policy has come into force; answers how many sessions it looked at again. */
  onChange(recheck: () => number): void {
    this.#listeners.add(recheck)
  }

  /** A refused policy is on record too: somebody tried to change what holds for everyone. */
  #examine(source: string, file: string, by: OperatorFacts): { readonly active: Active; readonly passed: number } {
    try {
      const active = check(source, file)
      this.#requireNewer(active)
      this.#requireKept(active.policy, by.operator)
      return { active, passed: active.policy.tests.length }
    } catch (error) {
      const reason = error instanceof Error && 'code' in error ? String(error.code) : 'INTERNAL'
      const problem = error instanceof Error ? error.message.slice(0, 1024) : ''
      this.#options.audit.append({ event: 'policy.refuse', ...by, reason, problem })
      throw error
    }
  }

  /** Records name a policy by its version, so one version must never mean two policies. */
  #requireNewer({ policy, hash }: Active): void {
    const current = this.#active
    if (hash === current.hash || policy.version > current.policy.version) return
    throw new ServerError(
      'POLICY_VERSION',
      `expected metadata.version above ${current.policy.version}, which is in force, got ${policy.version}`,
    )
  }

  /** Nobody shuts himself out, by mistake or talked into it; another who may apply policies can take the right from him. */
  #requireKept(policy: TopicPolicy, operator: OperatorName): void {
    if (!this.rightsOf(operator).may('policy.apply') || rightsIn(policy, operator).may('policy.apply')) return
    throw new ServerError('POLICY_LOCKS_OUT', `it would take policy.apply from ${operator}, who applies it`)
  }

  #recordActivation({ policy, hash }: Active, by: OperatorFacts): number {
    return this.#options.audit.append({
      event: 'policy.activate',
      policyVersion: policy.version,
      policyHash: hash,
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

  async #keep({ policy, source }: Active): Promise<void> {
    const encode = (text: string) => new TextEncoder().encode(text)
    await this.#options.store.commit({
      puts: [
        [versionKey(policy.version), encode(source)],
        [currentKey, encode(versionKey(policy.version))],
      ],
    })
  }
}

function isStillSo(
  known: Rendered,
  { tier, labels }: DeviceAttributes,
  { from, at }: { readonly from: string | undefined; readonly at: number },
): boolean {
  const { attributes, effective } = known
  if (attributes.tier !== tier || attributes.labels !== labels) return false
  return isWithin(effective.term, at) && (known.from === from || !effective.dependsOnAddress)
}

function rightsIn(policy: TopicPolicy, operator: OperatorName): OperatorRights {
  return operator === localAdmin ? everyRight : operatorRights(policy, operator)
}

/** Reads a policy and asks it its own tests. @throws PolicyError; ServerError POLICY_TESTS_FAILED */
function check(source: string, file: string): Active {
  const policy = parsePolicy(source, file)
  const { failed } = runPolicyTests(policy)
  if (failed.length > 0) {
    const list = failed.map(({ at, problem }) => `${at}: ${problem}`).join('\n')
    throw new ServerError('POLICY_TESTS_FAILED', `${failed.length} of its own tests failed:\n${list}`)
  }
  return { policy, hash: policyHash(policy), source }
}

async function readCurrent(store: Store): Promise<string | undefined> {
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
  const key = await store.get(currentKey)
  const source = key && (await store.get(decode(key)))
  return source && decode(source)
}

/** Now, unless another moment is given; from nowhere in particular, unless an address is. */
function circumstancesOf({ from, at }: ExplainRequest, now: number): Circumstances {
  try {
    return { from: from && parseAddress(from), at: at === undefined ? now : parseTime(at) }
  } catch (cause) {
    throw new ServerError('REQUEST_INVALID', cause instanceof Error ? cause.message : 'not readable', { cause })
  }
}

function questionOf({ action, topic, qos = 0, retain = false, size = 0 }: ExplainRequest): Question {
  switch (action) {
    case 'publish':
    case 'will':
      return { action, topic: parseTopicName(topic), qos, retain, size }
    case 'subscribe':
      return { action, filter: parseTopicFilter(topic), qos }
    case 'receive':
      return { action, topic: parseTopicName(topic) }
  }
}
