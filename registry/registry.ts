import {
  type AttestationResult,
  type AuditTrail,
  type CertificateFacts,
  type CertificateHolder,
  type DeviceId,
  type DeviceIdentity,
  type Fingerprint,
  formatLockTarget,
  type InstanceId,
  type Labels,
  type LockId,
  type LockTarget,
  type OperatorFacts,
  type OperatorName,
  type RegistryEvent,
  type RenewalAttestation,
  type TokenId,
} from '#protocol'
import type { Store } from '#store'
import { admit, type Admission } from './admission.js'
import { attestationOf, type Attested } from './attestations.js'
import { catchUp, type Replay } from './catch-up.js'
import {
  checkLabels,
  checkNewDevice,
  checkNewToken,
  type NewDevice,
  type NewToken,
  type RevokeOrder,
} from './checks.js'
import { Commits } from './commits.js'
import {
  type EnrollmentIssue,
  enrollmentOf,
  type EnrollmentPlan,
  type JoinContext,
  planEnrollment,
  provenToken,
  type TokenCredential,
} from './enrollment-plan.js'
import { RegistryError } from './errors.js'
import { Journal, type Shutting } from './journal.js'
import type { LockOrder } from './locks/lock-order.js'
import type { Clocks } from './locks/lock-times.js'
import { type Locking, Locks } from './locks/locks.js'
import { type OperatorIssue, Operators } from './operators.js'
import { planRenewal, type RenewalIssue, renewalOf, type RenewalPlan } from './renewal-plan.js'
import type { Attestation, CertificateRecord, Device, Instance, Lock, RegistryState, Token } from './state.js'

export interface RegistryOptions {
  readonly store: Store
  readonly audit: AuditTrail
  readonly replay: Replay
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Milliseconds by a clock that nobody sets. Default: `now` */
  readonly elapsed?: () => number
}

export interface RegistryChange {
  /** `promoted`: a certificate was used for the first time, so that others of the device are over. */
  readonly kind: 'revoked' | 'labels' | 'promoted'
  readonly device: DeviceId
}

/** So many records wait for the disk together, however large the fleet is. */
const rotatedTogether = 1000

/**
 * Knows every device, its instances and certificates, and the tokens that let devices in. Questions are answered from
 * memory at once. A change is checked, given its place in the audit log and applied in one go; it resolves when the log
 * and then the store hold it durably, so nothing that was answered can be lost. After a crash the log is read on.
 */
export class Registry {
  readonly #state: RegistryState
  readonly #journal: Journal
  readonly #now: () => number
  readonly #listeners = new Set<(change: RegistryChange) => void>()
  /** Whom locks and revocations keep out, and the brokers that are told of it. */
  readonly locks: Locks
  /** Who may work here. */
  readonly operators: Operators

  /** @throws RegistryError REGISTRY_AHEAD_OF_LOG, REGISTRY_CORRUPT */
  static async open({ store, audit, replay, now, elapsed = now }: RegistryOptions): Promise<Registry> {
    const { state, applied } = await catchUp(store, audit, replay)
    return new Registry(state, new Journal(state, audit, new Commits(store, audit, applied)), { now, elapsed })
  }

  private constructor(state: RegistryState, journal: Journal, clocks: Clocks) {
    this.#state = state
    this.#journal = journal
    this.#now = clocks.now
    this.locks = new Locks(state, clocks, journal)
    this.operators = new Operators(state, journal, clocks.now)
  }

  device(id: DeviceId): Device | undefined {
    return this.#state.devices.get(id)
  }

  devices(): readonly Device[] {
    return this.#state.devices.values()
  }

  instance(id: InstanceId): Instance | undefined {
    return this.#state.instances.get(id)
  }

  /** The certificates of an instance, newest first: pending, current, previous, then the superseded that are remembered. */
  certificatesOf(id: InstanceId): readonly CertificateRecord[] {
    const { pending, current, previous, superseded = [] } = this.#state.instances.get(id) ?? {}
    const line = [pending, current, previous, ...superseded.toReversed()]
    return line.flatMap((fingerprint) => (fingerprint && this.#state.certificates.get(fingerprint)) || [])
  }

  certificate(fingerprint: Fingerprint): CertificateRecord | undefined {
    return this.#state.certificates.get(fingerprint)
  }

  /** What was made of its PCRs when they were quoted last. */
  attestation(id: DeviceId): Attestation | undefined {
    return this.#state.attestations.get(id)
  }

  token(id: TokenId): Token | undefined {
    return this.#state.tokens.get(id)
  }

  tokens(): readonly Token[] {
    return this.#state.tokens.values()
  }

  /** The token whose secret was presented, spent or not. @throws RegistryError TOKEN_UNKNOWN, TOKEN_MISMATCH, TOKEN_REVOKED */
  requireToken(credential: TokenCredential): Token {
    return provenToken(this.#state, credential)
  }

  /** What decides at every door whether a device's certificate opens anything; `address` is where it is, or was, shown from. */
  admit(holder: CertificateHolder, address?: string): Admission {
    const admission = admit(this.#state, holder, this.#now())
    // What was begun with a certificate can go on after its time, and something of who is away: what a lock is on ends it.
    const isKnown = admission.admitted || (admission.reason !== 'revoked' && admission.reason !== 'unknown_certificate')
    const lock = isKnown ? this.locks.gate.keepsOut(holder, address) : undefined
    return lock === undefined ? admission : { admitted: false, reason: 'locked', comment: lock }
  }

  /** The operator whose certificate this is, while it is valid. */
  admitOperator(fingerprint: Fingerprint): OperatorName | undefined {
    return this.operators.certificate(fingerprint)?.operator
  }

  /**
   * What a join comes to. Nothing has changed yet: the certificate is signed next, and {@link enroll} checks again.
   * Before a `repeat` is answered, wait for {@link settled}: its record may still be on its way to the disk.
   * @throws RegistryError
   */
  planEnrollment(attestation: AttestationResult, token?: TokenCredential, peer?: string): EnrollmentPlan {
    const plan = planEnrollment(this.#state, attestation, token, this.#now())
    this.locks.gate.requireJoin(plan, attestation, peer)
    return plan
  }

  /**
   * Spends the token, binds the device and records the certificate as pending, all in one change.
   * @throws RegistryError CONFLICT when another join came first (then plan again; this certificate is thrown away), or
   *   what the new plan is refused with
   */
  async enroll(plan: EnrollmentIssue, certificate: CertificateFacts, context: JoinContext): Promise<void> {
    const again = this.planEnrollment(plan.attestation, plan.token, context.peer)
    if (again.kind === 'repeat' || again.device !== plan.device || again.instance !== plan.instance) throw conflict()
    this.locks.gate.requireIssuer(certificate)
    return this.#change(enrollmentOf(again, certificate, context))
  }

  /** The table of spec §5. Before a `repeat` is answered, wait for {@link settled}. @throws RegistryError */
  planRenewal(
    identity: DeviceIdentity,
    spkiHash: Fingerprint,
    attestation?: RenewalAttestation,
    peer?: string,
  ): RenewalPlan {
    const plan = planRenewal(this.#state, identity, { spkiHash, attestation }, this.#now())
    this.locks.gate.requireRenewal(identity, peer)
    return plan
  }

  /** @throws RegistryError CONFLICT when another renewal came first (then plan again), or what the new plan is refused with */
  async renew(plan: RenewalIssue, certificate: CertificateFacts, context: JoinContext): Promise<void> {
    const again = this.planRenewal(plan.presented, plan.spkiHash, plan.attestation, context.peer)
    if (again.kind === 'repeat' || !isSame(again.seen, plan.seen)) throw conflict()
    this.locks.gate.requireIssuer(certificate)
    const promoted = again.promotesFirst ? this.promote(plan.presented, context.peer) : undefined
    const renewed = this.#change(renewalOf(again, certificate, context))
    await Promise.all([promoted, renewed])
  }

  /** First use of a pending certificate makes it current. A current one stays as it is. @throws RegistryError */
  async promote(identity: DeviceIdentity, peer?: string): Promise<void> {
    const admission = this.admit(identity)
    if (!admission.admitted) throw conflict()
    if (admission.state === 'current') return this.settled()
    const certificate = this.#state.certificates.get(identity.fingerprint)
    if (certificate === undefined) throw conflict()
    const done = this.#change({
      event: 'device.promote',
      device: certificate.device,
      instance: certificate.instance,
      serial: certificate.serial,
      fingerprint: certificate.fingerprint,
      ...(peer !== undefined && { peer }),
    })
    this.#tell({ kind: 'promoted', device: certificate.device })
    return done
  }

  /** Says of a device how its PCRs were judged. @throws RegistryError DEVICE_UNKNOWN */
  async recordAttestation(attested: Attested): Promise<void> {
    this.#requireDevice(attested.device)
    return this.#change(attestationOf(attested, this.#now()))
  }

  /** @throws RegistryError TOKEN_INVALID, LABEL_INVALID, DEVICE_REVOKED */
  async createToken(token: NewToken, by: OperatorFacts): Promise<void> {
    checkNewToken(this.#state, token, this.#now())
    return this.#change({ event: 'token.create', ...token, ...by })
  }

  /** What joined with it stays. @throws RegistryError TOKEN_UNKNOWN */
  async revokeToken(token: TokenId, by: OperatorFacts): Promise<void> {
    if (!this.#state.tokens.has(token)) throw new RegistryError('TOKEN_UNKNOWN', `token ${token} is not known`)
    return this.#change({ event: 'token.revoke', token, ...by })
  }

  /** Makes a device known by its hardware before it arrives. @throws RegistryError ID_TAKEN, ANCHOR_TAKEN, LABEL_INVALID */
  async registerDevice(device: NewDevice, by: OperatorFacts): Promise<void> {
    checkNewDevice(this.#state, device)
    const { anchor, ...facts } = device
    return this.#change({
      event: 'device.register',
      ...facts,
      anchorKind: anchor.kind,
      anchorHash: anchor.hash,
      ...by,
    })
  }

  /** Replaces all labels; live at once, without a new certificate. @throws RegistryError DEVICE_UNKNOWN, LABEL_INVALID */
  async labelDevice(device: DeviceId, labels: Labels, by: OperatorFacts): Promise<void> {
    this.#requireDevice(device)
    checkLabels(labels)
    const done = this.#change({ event: 'device.label', device, labels, ...by })
    this.#tell({ kind: 'labels', device })
    return done
  }

  /**
   * Has the certificates replaced that these devices hold now, each with a record of its own: who shows one is told to
   * renew, see {@link CertificateRecord.rotate}. `target`: what was asked, for the records. @throws RegistryError DEVICE_UNKNOWN
   */
  async rotateDevices(devices: readonly DeviceId[], target: LockTarget, by: OperatorFacts): Promise<void> {
    for (const device of devices) this.#requireDevice(device)
    for (let at = 0; at < devices.length; at += rotatedTogether) {
      const rotated = devices.slice(at, at + rotatedTogether).map(async (device) => {
        return this.#change({ event: 'device.rotate', device, target: formatLockTarget(target), ...by })
      })
      await Promise.all(rotated)
    }
  }

  /** An operator's certificate, which then opens the operators' API. @throws RegistryError */
  async recordOperator(certificate: OperatorIssue): Promise<void> {
    return this.operators.record(certificate)
  }

  /**
   * Acts before it returns: from here on nothing of this device is admitted, and every listener has been told, whether
   * or not it can be recorded: `recorded` rejects when it cannot, and the revocation then acts until the process ends.
   * `done` when the store holds it too; where that fails, the next start learns of it from the log.
   * Doing it again records it again. @throws RegistryError DEVICE_UNKNOWN
   */
  revokeDevice(device: DeviceId, order: RevokeOrder): Shutting {
    this.#requireDevice(device)
    const epoch = this.#state.epoch + 1
    const event: RegistryEvent = { event: 'device.revoke', device, ...order, at: this.#now(), epoch }
    const outcome = this.#journal.actFirst([event])
    this.locks.eventApplied(event)
    this.#tell({ kind: 'revoked', device })
    return { ...outcome, epoch }
  }

  /** One that acts. */
  lock(id: LockId): Lock | undefined {
    return this.locks.acting.find((lock) => lock.id === id)
  }

  /** All that act. */
  allLocks(): readonly Lock[] {
    return this.locks.acting
  }

  /**
   * Acts before it returns, as a revocation does: nobody whom it is on is admitted from here on, and every broker has
   * been told. In the mode `revoke` each known device that it is on is revoked as well, with a record of its own.
   * @throws RegistryError LOCK_INVALID; ProtocolError INVALID_MESSAGE, INVALID_ID
   */
  addLock(order: LockOrder, by: OperatorFacts): Locking {
    return this.locks.add(order, by)
  }

  /** What was revoked stays so. It opens something: it acts when its record is on the disk. @throws RegistryError LOCK_UNKNOWN */
  async removeLock(lock: LockId, by: OperatorFacts): Promise<void> {
    return this.locks.remove(lock, by)
  }

  /** Ends the locks whose time is over. What cannot be recorded stays locked, until the next look. */
  async expireLocks(): Promise<void> {
    return this.locks.expire()
  }

  /** Resolves when all changes so far are durable. @throws RegistryError REGISTRY_FAILED */
  settled(): Promise<void> {
    return this.#journal.settled()
  }

  /**
   * Resolves when a start would no longer read the log below a sequence number: the store then holds all that it says up
   * to there, and says so. @throws RegistryError REGISTRY_FAILED
   */
  readLogOnlyFrom(sequence: number): Promise<void> {
    return this.#journal.readOnlyFrom(sequence)
  }

  /** Called synchronously with each change, before it is durable. Listeners must not throw. Returns the way to stop. */
  onChange(listener: (change: RegistryChange) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  #change(event: RegistryEvent): Promise<void> {
    return this.#journal.change(event, () => this.locks.eventApplied(event))
  }

  #tell(change: RegistryChange): void {
    for (const listener of this.#listeners) listener(change)
  }

  #requireDevice(id: DeviceId): void {
    if (!this.#state.devices.has(id)) throw new RegistryError('DEVICE_UNKNOWN', `device ${id} is not known`)
  }
}

function isSame(a: RenewalIssue['seen'], b: RenewalIssue['seen']): boolean {
  return a.generation === b.generation && a.pending === b.pending
}

function conflict(): RegistryError {
  return new RegistryError('CONFLICT', 'the state has changed since it was looked at')
}
