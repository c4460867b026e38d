import { type EkMaker, type PcrPolicy, reasonsAgainst } from '#enrollment'
import type { ApplyPcrPolicyAnswer, DeviceId, LearnPcrsAnswer, LearnPcrsRequest, OperatorFacts } from '#protocol'
import type { Attestation, Registry } from '#registry'
import { ServerError } from './errors.js'
import type { EventLogs } from './event-logs.js'
import { firstDocument, learn } from './pcr-policies/learn.js'
import type { ApplyPcrPolicy, PcrPolicies } from './pcr-policies/pcr-policies.js'

export interface AttestingOptions {
  readonly makers: readonly EkMaker[]
  readonly policies: PcrPolicies
  readonly eventLogs: EventLogs
  readonly registry: Registry
  readonly now: () => number
}

/** How operators say what devices have to prove, with what is known of the devices at hand. */
export class Attesting {
  /** Whose word about TPMs counts. */
  readonly makers: readonly EkMaker[]
  readonly policies: PcrPolicies
  readonly eventLogs: EventLogs
  readonly #registry: Registry
  readonly #now: () => number

  constructor({ makers, policies, eventLogs, registry, now }: AttestingOptions) {
    this.makers = makers
    this.policies = policies
    this.eventLogs = eventLogs
    this.#registry = registry
    this.#now = now
  }

  /** As {@link PcrPolicies.apply}, and says whom it would find bad. */
  async apply(source: string, applying: ApplyPcrPolicy): Promise<ApplyPcrPolicyAnswer> {
    const { view, policy, changed } = await this.policies.apply(source, applying)
    const { source: _, ...shown } = view
    return { policy: shown, dryRun: applying.dryRun ?? false, changed, wouldFail: this.#badBy(policy) }
  }

  /**
   * What a device quoted last is good from here on, by the policy that is named or that holds for its profile.
   * @throws ServerError NOT_FOUND, NOTHING_QUOTED; as {@link PcrPolicies.apply}
   */
  async learn(
    { device: id, policy, from, until, dryRun = false }: LearnPcrsRequest,
    by: OperatorFacts,
  ): Promise<LearnPcrsAnswer> {
    const device = this.#registry.device(id)
    if (device === undefined) throw new ServerError('NOT_FOUND', `there is no device ${id}`)
    const { pcrs } = this.#requireQuoted(id)
    const name = policy ?? this.policies.holdingFor(device.profile)?.name
    if (name === undefined) {
      throw new ServerError('NOT_FOUND', `no PCR policy holds for profile ${device.profile}: name the one to make`)
    }
    const before = this.policies.has(name)
      ? this.policies.require(name).source
      : firstDocument(name, device.profile, pcrs)
    const { source, learned } = learn(before, { pcrs, from, until, comment: `learned from ${id}` })
    const { view } = await this.policies.apply(source, { by, dryRun, device: id })
    return { policy: view, learned, dryRun }
  }

  #requireQuoted(id: DeviceId): Attestation {
    const attestation = this.#registry.attestation(id)
    if (attestation !== undefined && Object.keys(attestation.pcrs).length > 0) return attestation
    throw new ServerError('NOTHING_QUOTED', `device ${id} has quoted no PCRs yet: let it join again, with --pcrs`)
  }

  /** By what they quoted last, and by that alone: event logs are held against it when they come. */
  #badBy(policy: PcrPolicy): readonly DeviceId[] {
    const byValues = { ...policy, eventLog: false }
    const mine = this.#registry.devices().filter(({ state, profile, anchors }) => {
      return state === 'active' && policy.profiles.includes(profile) && anchors.some(({ kind }) => kind === 'ek')
    })
    return mine
      .map(({ id }) => id)
      .filter((id) => reasonsAgainst(this.#evidenceOf(id), byValues, this.#now()).length > 0)
  }

  #evidenceOf(id: DeviceId) {
    const pcrs = Object.entries(this.#registry.attestation(id)?.pcrs ?? {})
    return pcrs.length === 0 ? {} : { quoted: new Map(pcrs.map(([pcr, value]) => [Number(pcr), value])) }
  }
}
