import type { DeviceId, InstanceId, PcrVerdict } from '#protocol'
import type { Instance, Registry } from '#registry'
import { EnrollmentError } from '../errors.js'
import type { PcrPolicyFor } from './policy.js'

export interface VerdictsOptions {
  readonly registry: Pick<Registry, 'recordAttestation' | 'attestation'>
  readonly pcrPolicyFor: PcrPolicyFor
  /** Where the event log of a device's last quote is kept. Default: nowhere */
  readonly keepEventLog?: ((device: DeviceId, eventLog: Uint8Array) => Promise<void>) | undefined
  /** Leaves a device no more than repair takes; acts before it returns. Default: nothing does */
  readonly quarantine?: ((device: DeviceId, reason: string) => void) | undefined
}

/** Whose PCRs were judged. */
interface Judged {
  readonly deviceId: DeviceId
  readonly instanceId: InstanceId
  readonly peer: string
  readonly eventLog: Uint8Array | undefined
}

/** What follows from how PCRs were judged, once it is known whose they are. */
export class Verdicts {
  readonly #options: VerdictsOptions

  constructor(options: VerdictsOptions) {
    this.#options = options
  }

  /**
   * To be called before a device is answered: the verdict is on record then. Who has joined in good order and is not any
   * more is put in quarantine instead of turned away, for without a certificate nobody could repair it.
   */
  async note(verdict: PcrVerdict | undefined, { deviceId, instanceId, peer, eventLog }: Judged): Promise<void> {
    if (verdict === undefined) return
    const { registry, keepEventLog, quarantine } = this.#options
    if (verdict.outcome === 'bad' && verdict.policy?.mode === 'enforce') {
      quarantine?.(deviceId, `PCR policy ${verdict.policy.name}: ${verdict.reasons.join('; ')}`)
    }
    await registry.recordAttestation({ device: deviceId, instance: instanceId, verdict, peer })
    if (eventLog !== undefined) await keepEventLog?.(deviceId, eventLog)
  }

  /**
   * That a renewal comes with a quote where one is due: by a policy that enforces, and after so many renewals without.
   * @throws EnrollmentError QUOTE_MISSING
   */
  requireQuoteIfDue(instance: Pick<Instance, 'id' | 'device' | 'profile' | 'anchor' | 'generation'>): void {
    const policy = this.#options.pcrPolicyFor(instance.profile)
    if (instance.anchor.kind !== 'ek' || policy?.attestEvery === undefined || policy.mode !== 'enforce') return
    const last = this.#options.registry.attestation(instance.device)
    const since = last?.instance === instance.id ? instance.generation - last.generation : Infinity
    if (since < policy.attestEvery) return
    throw new EnrollmentError('QUOTE_MISSING', `PCR policy ${policy.name} asks for a quote with this renewal`)
  }
}
