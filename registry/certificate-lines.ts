import type {
  AttestationResult,
  CertificateFacts,
  CertificateHolder,
  DeviceIdentity,
  Fingerprint,
  InstanceId,
} from '#protocol'
import { admit, type Admission } from './admission.js'
import {
  type EnrollmentIssue,
  enrollmentOf,
  type EnrollmentPlan,
  type JoinContext,
  planEnrollment,
  type TokenCredential,
} from './enrollment-plan.js'
import { RegistryError } from './errors.js'
import type { Registrar } from './registrar.js'
import type { RenewalAsked } from './renewal/asked.js'
import { lockClone } from './renewal/clone.js'
import { planRenewal, type RenewalClone, type RenewalIssue, renewalOf, type RenewalPlan } from './renewal/plan.js'
import { returnInQuarantine } from './renewal/return.js'
import type { CertificateRecord } from './state.js'

/** What comes with a join besides what was attested. */
interface JoinFacts {
  readonly token: TokenCredential | undefined
  readonly peer: string | undefined
  /** A TPM that was cleared or copied since may go on. */
  readonly afterReset: boolean
}

/**
 * The certificates of each enrollment, from the join that begins their line over one renewal after the other; and which
 * of them opens anything. See {@link Registry} for what each promises.
 */
export class CertificateLines {
  readonly #registrar: Registrar

  constructor(registrar: Registrar) {
    this.#registrar = registrar
  }

  of(id: InstanceId): readonly CertificateRecord[] {
    const { instances, certificates } = this.#registrar.state
    const { pending, current, previous, superseded = [] } = instances.get(id) ?? {}
    const line = [pending, current, previous, ...superseded.toReversed()]
    return line.flatMap((fingerprint) => (fingerprint && certificates.get(fingerprint)) || [])
  }

  admit(holder: CertificateHolder, address?: string): Admission {
    const { state, locks, now } = this.#registrar
    const admission = admit(state, holder, now())
    // What was begun with a certificate can go on after its time, and something of who is away: what a lock is on ends it.
    const isKnown = admission.admitted || (admission.reason !== 'revoked' && admission.reason !== 'unknown_certificate')
    const lock = isKnown ? locks.gate.keepsOut(holder, address) : undefined
    return lock === undefined ? admission : { admitted: false, reason: 'locked', comment: lock }
  }

  /** @throws RegistryError */
  planEnrollment(attestation: AttestationResult, { token, peer, afterReset }: JoinFacts): EnrollmentPlan {
    const { state, locks, now } = this.#registrar
    const plan = planEnrollment(state, attestation, token, now(), peer)
    locks.gate.requireJoin(plan, attestation, peer)
    if (plan.kind === 'issue' && plan.breaksHistory && !afterReset) {
      throw new RegistryError('TPM_HISTORY_BROKEN', `the counters of the TPM of ${plan.device} went back`)
    }
    return plan
  }

  /** @throws RegistryError CONFLICT, or what the new plan is refused with */
  async enroll(plan: EnrollmentIssue, certificate: CertificateFacts, context: JoinContext): Promise<void> {
    const { attestation, token, breaksHistory: afterReset } = plan
    const again = this.planEnrollment(attestation, { token, peer: context.peer, afterReset })
    if (again.kind !== 'issue' || again.device !== plan.device || again.instance !== plan.instance) throw conflict()
    this.#registrar.locks.gate.requireIssuer(certificate)
    const facts = { ...context, at: this.#registrar.now() }
    const done = this.#registrar.enter(enrollmentOf(again, certificate, facts))
    this.#registrar.tell({ kind: 'reported', device: again.device })
    return done
  }

  /** @throws RegistryError */
  planRenewal(identity: DeviceIdentity, asked: RenewalAsked, peer?: string): RenewalPlan {
    const { state, locks, now } = this.#registrar
    const plan = planRenewal(state, identity, asked, now())
    locks.gate.requireRenewal(identity, peer)
    return plan
  }

  /** @throws RegistryError CONFLICT, or what the new plan is refused with */
  async renew(plan: RenewalIssue, certificate: CertificateFacts, context: JoinContext): Promise<void> {
    const again = this.planRenewal(plan.presented, plan.asked, context.peer)
    if (again.kind !== 'issue' || !isSame(again.seen, plan.seen)) throw conflict()
    this.#registrar.locks.gate.requireIssuer(certificate)
    const promoted = again.promotesFirst ? this.#use(plan.presented.fingerprint, context.peer) : undefined
    // Before the certificate that it is about: a crash in between leaves nobody free who was not to be.
    const returned = again.inQuarantine ? returnInQuarantine(this.#registrar, again.instance)?.done : undefined
    const renewed = this.#registrar.enter(renewalOf(again, certificate, { ...context, at: this.#registrar.now() }))
    await Promise.all([promoted, returned, renewed])
  }

  /** @throws RegistryError CLONE_SUSPECTED when it is done; CONFLICT, or what the new plan is refused with */
  async lockClone(plan: RenewalClone, peer?: string): Promise<never> {
    const again = this.planRenewal(plan.presented, plan.asked, peer)
    if (again.kind !== 'clone') throw conflict()
    return lockClone(this.#registrar, again, peer)
  }

  /** @throws RegistryError CONFLICT */
  async promote(identity: DeviceIdentity, peer?: string): Promise<void> {
    const admission = this.admit(identity)
    if (!admission.admitted) throw conflict()
    if (admission.state === 'current') return this.#registrar.settled()
    return this.#use(identity.fingerprint, peer)
  }

  async #use(pending: Fingerprint, peer?: string): Promise<void> {
    const certificate = this.#registrar.state.certificates.get(pending)
    if (certificate === undefined) throw conflict()
    const { device, instance, serial, fingerprint } = certificate
    const used = { device, instance, serial, fingerprint, ...(peer !== undefined && { peer }) }
    const done = this.#registrar.enter({ event: 'device.promote', ...used })
    this.#registrar.tell({ kind: 'promoted', device })
    return done
  }
}

function isSame(a: RenewalIssue['seen'], b: RenewalIssue['seen']): boolean {
  return a.generation === b.generation && a.pending === b.pending
}

function conflict(): RegistryError {
  return new RegistryError('CONFLICT', 'the state has changed since it was looked at')
}
