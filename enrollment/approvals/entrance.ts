import type { AttestationResult, DeviceId, Fingerprint } from '#protocol'
import type { IssueContext } from '#ca'
import { type Instance, type Registry, RegistryError } from '#registry'
import type { EnrollmentProfile } from '../profile.js'
import type { Approvals } from './approvals.js'

export interface EntranceOptions {
  readonly registry: Pick<Registry, 'ownerOf' | 'locks'>
  readonly approvals: Approvals
  /** Keeps out this TPM, and the device that it is known as, from before this returns. */
  readonly lockTpm: (ek: Fingerprint, device: DeviceId, reason: string) => void
}

/** Hardware that was proven, and what comes with it. */
export interface Arriving {
  readonly method: 'tpm' | 'idevid'
  readonly attestation: AttestationResult
  readonly profile: EnrollmentProfile
  readonly context: IssueContext & { readonly peer: string }
}

/** What becomes of genuine hardware that is not simply let in: by its profile it is refused, waits for an operator, or is locked. */
export class Entrance {
  readonly #options: EntranceOptions

  constructor(options: EntranceOptions) {
    this.#options = options
  }

  /** @throws EnrollmentError APPROVAL_PENDING, APPROVAL_DENIED, BUSY; and what `issue` throws */
  async letIn<T>(arriving: Arriving, issue: (context: Arriving['context']) => Promise<T>): Promise<T> {
    try {
      const issued = await issue({ ...arriving.context, afterReset: this.#mayGoOn(arriving) })
      this.#options.approvals.cameIn(arriving.attestation.anchor)
      return issued
    } catch (error) {
      throw error instanceof RegistryError ? await this.#answerTo(error, arriving) : error
    }
  }

  /** A TPM that was reset renews nothing; whether it may join anew is asked there. @throws what `issue` throws */
  async letStay<T>(
    { device, anchor }: Pick<Instance, 'device' | 'anchor'>,
    profile: EnrollmentProfile | undefined,
    issue: () => Promise<T>,
  ): Promise<T> {
    try {
      return await issue()
    } catch (error) {
      const isReset = error instanceof RegistryError && error.code === 'TPM_HISTORY_BROKEN'
      if (isReset && profile?.virtualTpm === true) this.#lockCopy(anchor.hash, device, error)
      throw error
    }
  }

  /** Spec §2 "TPM history": after TPM2_Clear a machine is the same machine; a virtual TPM with an older state is a copy. */
  #mayGoOn({ attestation, profile }: Arriving): boolean {
    if (profile.virtualTpm === true) return false
    return profile.onTpmReset === 'accept' || this.#options.approvals.mayGoOn(attestation.anchor, attestation.spkiHash)
  }

  async #answerTo(refusal: RegistryError, arriving: Arriving): Promise<Error> {
    if (refusal.code === 'NOT_REGISTERED') return this.#answerToUnknown(refusal, arriving)
    if (refusal.code === 'TPM_HISTORY_BROKEN') return this.#answerToReset(refusal, arriving)
    return refusal
  }

  /** Only what a maker vouches for may ask; a token that came with it is the wrong one, and not a question. */
  async #answerToUnknown(refusal: RegistryError, { method, attestation, profile, context }: Arriving): Promise<Error> {
    const mayAsk = profile.unknown === 'approve' && attestation.tier !== 'tpm-unvouched' && context.token === undefined
    if (!mayAsk) return refusal
    this.#options.registry.locks.gate.requireStranger(attestation, context.peer)
    return this.#options.approvals.ask({ ...shownBy(attestation), reason: 'unknown', ...saidIn(context) }, method)
  }

  async #answerToReset(refusal: RegistryError, { method, attestation, profile, context }: Arriving): Promise<Error> {
    const { registry, approvals } = this.#options
    const device = registry.ownerOf(attestation)
    if (device === undefined) return refusal
    if (profile.virtualTpm === true) {
      this.#lockCopy(attestation.anchor.hash, device, refusal)
      return refusal
    }
    return approvals.ask({ ...shownBy(attestation), reason: 'tpm_reset', device, ...saidIn(context) }, method)
  }

  #lockCopy(ek: Fingerprint, device: DeviceId, { message }: RegistryError): void {
    this.#options.lockTpm(ek, device, `the virtual TPM of ${device} came with an older state: ${message}`)
  }
}

function shownBy(attestation: AttestationResult) {
  const { anchor, aliases, profile, tier, spkiHash, maker, hardwareSerial } = attestation
  return {
    ...{ anchor, profile, tier, spkiHash },
    ...(aliases !== undefined && { aliases }),
    ...(maker !== undefined && { maker }),
    ...(hardwareSerial !== undefined && { hardwareSerial }),
  }
}

function saidIn({ peer, reported }: Arriving['context']) {
  return { peer, ...(reported !== undefined && { reported }) }
}
