import { createHash } from 'node:crypto'
import { decodePcrPolicy, type PcrPolicy, type PcrPolicyInForce } from '#enrollment'
import { plain, readDocument } from '#policy'
import {
  type AuditTrail,
  type DeviceId,
  type Fingerprint,
  type OperatorFacts,
  parseFingerprint,
  type PcrPolicySourceView,
  type ProfileName,
} from '#protocol'
import type { Store } from '#store'
import { ServerError } from '../errors.js'
import { keep, nextVersion, readNewest, type StoredPcrPolicy } from './stored.js'

export interface PcrPoliciesOptions {
  readonly store: Store
  readonly audit: AuditTrail
  readonly now: () => number
}

export interface ApplyPcrPolicy {
  readonly by: OperatorFacts
  /** Default: false */
  readonly dryRun?: boolean
  /** From whose quoted values it learned something. */
  readonly device?: DeviceId
}

/** What an application came to. */
export interface AppliedPcrPolicy {
  readonly view: PcrPolicySourceView
  readonly policy: PcrPolicy
  readonly changed: boolean
}

/** How many there can be; each is in memory. */
const maxPolicies = 64

/**
 * The PCR policies that hold now, by their names, each with all its versions in the store. A change is recorded, then
 * stored, and then it holds for whoever joins next.
 */
export class PcrPolicies {
  readonly #options: PcrPoliciesOptions
  /** Those that were removed too: a number that one version has had is never another's. */
  readonly #newest: Map<string, StoredPcrPolicy>
  #inForce: ReadonlyMap<string, PcrPolicyInForce>
  #changing: Promise<unknown> = Promise.resolve()

  /** @throws ServerError PCR_POLICY_UNREADABLE; PolicyError, EnrollmentError for what this release cannot read */
  static async open(options: PcrPoliciesOptions): Promise<PcrPolicies> {
    return new PcrPolicies(options, await readNewest(options.store))
  }

  private constructor(options: PcrPoliciesOptions, newest: Map<string, StoredPcrPolicy>) {
    this.#options = options
    this.#newest = newest
    this.#inForce = inForceOf(newest)
  }

  get all(): readonly PcrPolicySourceView[] {
    return [...this.#inForce.keys()].toSorted().map((name) => this.require(name))
  }

  /** The one that devices of a profile are judged by. */
  holdingFor(profile: ProfileName): PcrPolicyInForce | undefined {
    return [...this.#inForce.values()].find(({ profiles }) => profiles.includes(profile))
  }

  /** @throws ServerError NOT_FOUND */
  require(name: string): PcrPolicySourceView {
    const policy = this.#inForce.get(name)
    const stored = this.#newest.get(name)
    if (policy === undefined || stored === undefined) {
      throw new ServerError('NOT_FOUND', `there is no PCR policy ${name}`)
    }
    return viewOf(policy, stored)
  }

  has(name: string): boolean {
    return this.#inForce.has(name)
  }

  /**
   * Puts what a document says in force under its name, unless it is a dry run or says so already.
   * @throws PolicyError, EnrollmentError PCR_POLICY_INVALID; ServerError PCR_POLICY_OVERLAP, PCR_POLICY_LIMIT
   */
  apply(source: string, { by, device, dryRun = false }: ApplyPcrPolicy): Promise<AppliedPcrPolicy> {
    return this.#inTurn(async () => {
      const policy = readPcrPolicy(source)
      this.#requireOwnProfiles(policy)
      const before = this.#newest.get(policy.name)
      const changed = before === undefined || before.removed || before.source !== source
      const { now } = this.#options
      const from = before ?? { name: policy.name, version: 0 }
      const next = changed ? nextVersion(from, { source, removed: false }, by, now()) : before
      if (changed && !dryRun) await this.#putInForce(next, policy, { by, ...(device !== undefined && { device }) })
      return { view: viewOf({ ...policy, version: next.version }, next), policy, changed }
    })
  }

  /** @throws ServerError NOT_FOUND */
  remove(name: string, by: OperatorFacts): Promise<PcrPolicySourceView> {
    return this.#inTurn(async () => {
      const view = this.require(name)
      const { audit, store, now } = this.#options
      const record = audit.append({ event: 'pcr_policy.remove', pcrPolicy: name, policyVersion: view.version, ...by })
      await audit.whenDurable(record)
      const removal = nextVersion(view, { source: view.source, removed: true }, by, now())
      await keep(store, removal)
      this.#holds(removal)
      return view
    })
  }

  async #putInForce(next: StoredPcrPolicy, policy: PcrPolicy, { by, device }: ApplyPcrPolicy): Promise<void> {
    const { audit, store } = this.#options
    const record = audit.append({
      event: 'pcr_policy.apply',
      ...{ pcrPolicy: next.name, policyVersion: next.version, policyHash: hashOf(next.source), mode: policy.mode },
      ...(device !== undefined && { device }),
      ...by,
    })
    await audit.whenDurable(record)
    await keep(store, next)
    this.#holds(next)
  }

  #holds(stored: StoredPcrPolicy): void {
    this.#newest.set(stored.name, stored)
    this.#inForce = inForceOf(this.#newest)
  }

  /** Of two policies for one profile nobody could say which holds. */
  #requireOwnProfiles({ name, profiles }: PcrPolicy): void {
    const others = [...this.#inForce.values()].filter((other) => other.name !== name)
    if (others.length >= maxPolicies) {
      throw new ServerError('PCR_POLICY_LIMIT', `there are ${maxPolicies} PCR policies, and no more can be`)
    }
    for (const profile of profiles) {
      const other = others.find((each) => each.profiles.includes(profile))
      if (other === undefined) continue
      throw new ServerError('PCR_POLICY_OVERLAP', `PCR policy ${other.name} holds for profile ${profile} already`)
    }
  }

  /** One change after the other: each is judged by what the one before has left in force. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#changing.then(change)
    this.#changing = turn.catch(() => undefined)
    return turn
  }
}

/** @throws PolicyError, EnrollmentError PCR_POLICY_INVALID */
export function readPcrPolicy(source: string): PcrPolicy {
  return decodePcrPolicy(plain(readDocument(source, 'pcr-policy.yaml')))
}

function inForceOf(newest: ReadonlyMap<string, StoredPcrPolicy>): ReadonlyMap<string, PcrPolicyInForce> {
  const holding = [...newest.values()].filter(({ removed }) => !removed)
  return new Map(holding.map(({ name, version, source }) => [name, { ...readPcrPolicy(source), version }]))
}

function viewOf({ mode, profiles, pcrs }: PcrPolicyInForce, stored: StoredPcrPolicy): PcrPolicySourceView {
  const { name, version, source, since, operator: by, comment } = stored
  return {
    ...{ name, version, mode, profiles, source, by },
    pcrs: [...pcrs.keys()].toSorted((one, other) => one - other),
    ...{ hash: hashOf(source), since: new Date(since).toISOString() },
    ...(comment !== undefined && { comment }),
  }
}

function hashOf(source: string): Fingerprint {
  return parseFingerprint(createHash('sha256').update(source).digest('hex'))
}
