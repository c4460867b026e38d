import type { Anchor, AuditTrail, DeviceId, Fingerprint, Labels, OperatorFacts, ProfileName } from '#protocol'
import { type Registry, RegistryError } from '#registry'
import { EnrollmentError } from '../errors.js'
import { type ApprovalBounds, approvalBounds, askAgainSeconds } from './bounds.js'
import { type Applicant, type Waiting, WaitingList } from './waiting-list.js'
import { Words } from './words.js'

export interface ApprovalsOptions {
  readonly registry: Pick<Registry, 'ownerOf' | 'registerDevice'>
  readonly audit: AuditTrail
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly bounds?: Partial<ApprovalBounds>
}

/** What an operator makes of one that waits. */
export interface ApprovalTerms {
  /** What it is to be called; of one that is known already its own id, or nothing. */
  readonly device?: DeviceId
  /** Default: the one that it asked for. */
  readonly profile?: ProfileName
  readonly labels?: Labels
}

/**
 * Machines with genuine hardware that are not let in without an operator's word. All of it is in memory: what was said is
 * in the log, and after a restart whoever still wants to come in asks again.
 */
export class Approvals {
  readonly #options: ApprovalsOptions
  readonly #waiting: WaitingList
  /** Who has been denied. */
  readonly #denied: Words<true>
  /** Of known devices whose TPM was reset: the key with which one may go on. */
  readonly #resets: Words<Fingerprint>

  constructor(options: ApprovalsOptions) {
    const bounds = { ...approvalBounds, ...options.bounds }
    this.#options = options
    this.#waiting = new WaitingList(bounds, options.now)
    this.#denied = new Words(bounds, options.now)
    this.#resets = new Words(bounds, options.now)
  }

  /** Has a machine wait, and says what it is to be told, when that is on record. It has proven its hardware. */
  async ask(applicant: Applicant, method: 'tpm' | 'idevid'): Promise<EnrollmentError> {
    const { hash } = applicant.anchor
    if (this.#denied.of(hash)) return new EnrollmentError('APPROVAL_DENIED', 'an operator has refused this machine')
    // Registered while this was on its way: the next try comes in, and nobody is to be asked any more.
    if (!this.#isSettled(applicant)) await this.#queue(applicant, method)
    const problem = `this waits for an operator, who names it by ${applicant.anchor.kind} ${hash}`
    return new EnrollmentError('APPROVAL_PENDING', problem, { retryAfterSeconds: askAgainSeconds })
  }

  /** Whether an operator lets this device go on with this key after its TPM was reset. */
  mayGoOn({ hash }: Anchor, spkiHash: Fingerprint): boolean {
    return this.#resets.of(hash) === spkiHash
  }

  /** It has come in: an approval is good once. */
  cameIn({ hash }: Anchor): void {
    this.#waiting.remove(hash)
    this.#resets.take(hash)
  }

  /** Who has waited the longest comes first. */
  list(): readonly Waiting[] {
    return this.#waiting.all().filter((one) => !this.#isSettled(one))
  }

  /** @throws EnrollmentError APPROVAL_UNKNOWN */
  require(hash: Fingerprint): Waiting {
    const waiting = this.#waiting.get(hash)
    if (waiting !== undefined) return waiting
    throw new EnrollmentError(
      'APPROVAL_UNKNOWN',
      'nothing with this hash waits here; see who does, and ask it to try again',
    )
  }

  /**
   * Lets the machine in at its next try: an unknown one by registering its hardware, a known one with the key that it
   * asked with, once. @throws EnrollmentError APPROVAL_UNKNOWN, APPROVAL_INVALID; RegistryError ID_TAKEN, ANCHOR_TAKEN, LABEL_INVALID
   */
  async approve(hash: Fingerprint, terms: ApprovalTerms, by: OperatorFacts): Promise<DeviceId> {
    const waiting = this.require(hash)
    const device =
      waiting.device === undefined
        ? await this.#register(waiting, terms, by)
        : await this.#allowReset(waiting, waiting.device, terms, by)
    this.#waiting.remove(hash)
    return device
  }

  /** Refused from here on, and for how long. @throws EnrollmentError APPROVAL_UNKNOWN */
  async deny(hash: Fingerprint, by: OperatorFacts): Promise<number> {
    const { reason, anchor, device } = this.require(hash)
    const notAfter = this.#denied.say(hash, true)
    this.#waiting.remove(hash)
    const about = { anchorKind: anchor.kind, anchorHash: hash, ...(device !== undefined && { device }) }
    await this.#record({ event: 'join.deny', reason, ...about, notAfter, ...by })
    return notAfter
  }

  async #register({ anchor, profile }: Waiting, terms: ApprovalTerms, by: OperatorFacts): Promise<DeviceId> {
    const { device, labels = {} } = terms
    if (device === undefined) throw invalid('an unknown machine has to be given a name')
    try {
      await this.#options.registry.registerDevice({ device, profile: terms.profile ?? profile, labels, anchor }, by)
      return device
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'ANCHOR_TAKEN') this.#waiting.remove(anchor.hash)
      throw error
    }
  }

  async #allowReset(waiting: Waiting, device: DeviceId, terms: ApprovalTerms, by: OperatorFacts): Promise<DeviceId> {
    const { anchor, spkiHash } = waiting
    if ((terms.device ?? device) !== device) throw invalid(`this is device ${device}, and keeps its name`)
    if (terms.profile !== undefined || terms.labels !== undefined)
      throw invalid(`${device} keeps its profile and labels`)
    const about = { device, anchorKind: anchor.kind, anchorHash: anchor.hash, spkiHash }
    await this.#record({ event: 'join.approve', reason: 'tpm_reset', ...about, ...by })
    this.#resets.say(anchor.hash, spkiHash)
    return device
  }

  #isSettled(applicant: Applicant): boolean {
    return applicant.device === undefined && this.#options.registry.ownerOf(applicant) !== undefined
  }

  async #queue(applicant: Applicant, method: 'tpm' | 'idevid'): Promise<void> {
    let recorded: number | undefined
    this.#waiting.put(applicant, () => {
      recorded = this.#appendPending(applicant, method)
    })
    if (recorded !== undefined) await this.#options.audit.whenDurable(recorded)
  }

  #appendPending(applicant: Applicant, method: 'tpm' | 'idevid'): number {
    const { anchor, reason, profile, tier, maker, hardwareSerial, device, peer } = applicant
    return this.#options.audit.append({
      event: 'join.pending',
      ...{ method, reason, profile, anchorKind: anchor.kind, anchorHash: anchor.hash, tier },
      ...(maker !== undefined && { maker }),
      ...(hardwareSerial !== undefined && { hardwareSerial }),
      ...(device !== undefined && { device }),
      peer,
    })
  }

  async #record(event: Parameters<AuditTrail['append']>[0]): Promise<void> {
    const { audit } = this.#options
    return audit.whenDurable(audit.append(event))
  }
}

function invalid(problem: string): EnrollmentError {
  return new EnrollmentError('APPROVAL_INVALID', problem)
}
