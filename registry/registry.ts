import type {
  AttestationResult,
  AuditTrail,
  CertificateFacts,
  CertificateHolder,
  DeviceId,
  DeviceIdentity,
  Fingerprint,
  InstanceId,
  Labels,
  LockId,
  LockTarget,
  OperatorFacts,
  OperatorName,
  TokenId,
} from '#protocol'
import type { Store } from '#store'
import type { Admission } from './admission.js'
import type { Attested } from './attestations.js'
import { catchUp, type Replay } from './catch-up.js'
import { CertificateLines } from './certificate-lines.js'
import type { NewDevice, NewToken, RevokeOrder } from './checks.js'
import { Commits } from './commits.js'
import { Devices } from './devices.js'
import {
  type EnrollmentIssue,
  type EnrollmentPlan,
  type JoinContext,
  ownerOf,
  type TokenCredential,
} from './enrollment-plan.js'
import { JoinTokens } from './join-tokens.js'
import { Journal, type Shutting } from './journal.js'
import type { LockOrder } from './locks/lock-order.js'
import type { Clocks } from './locks/lock-times.js'
import { type Locking, Locks } from './locks/locks.js'
import { type OperatorIssue, Operators } from './operators.js'
import { Registrar, type RegistryChange } from './registrar.js'
import { epochAfterRestore, restoresIn } from './restores.js'
import { planRegistration } from './registration.js'
import type { RenewalAsked } from './renewal/asked.js'
import type { RenewalClone, RenewalIssue, RenewalPlan } from './renewal/plan.js'
import { Runs } from './runs/runs.js'
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

/**
 * Knows every device, its instances and certificates, and the tokens that let devices in. Questions are answered from
 * memory at once. A change is checked, given its place in the audit log and applied in one go; it resolves when the log
 * and then the store hold it durably, so nothing that was answered can be lost. After a crash the log is read on.
 */
export class Registry {
  readonly #state: RegistryState
  readonly #journal: Journal
  readonly #registrar: Registrar
  readonly #lines: CertificateLines
  readonly #tokens: JoinTokens
  readonly #devices: Devices
  /** Whom locks and revocations keep out, and the brokers that are told of it. */
  readonly locks: Locks
  /** Who may work here. */
  readonly operators: Operators
  /** What CI jobs brought. */
  readonly runs: Runs

  /** @throws RegistryError REGISTRY_AHEAD_OF_LOG, REGISTRY_CORRUPT */
  static async open({ store, audit, replay, now, elapsed = now }: RegistryOptions): Promise<Registry> {
    const { state, applied } = await catchUp(store, audit, replay)
    return new Registry(state, new Journal(state, audit, new Commits(store, audit, applied)), { now, elapsed })
  }

  private constructor(state: RegistryState, journal: Journal, clocks: Clocks) {
    const { now } = clocks
    this.#state = state
    this.#journal = journal
    this.locks = new Locks(state, clocks, journal)
    this.operators = new Operators(state, journal, now)
    this.#registrar = new Registrar({ state, journal, locks: this.locks, now })
    this.#lines = new CertificateLines(this.#registrar)
    this.#tokens = new JoinTokens(this.#registrar)
    this.#devices = new Devices(this.#registrar)
    this.runs = new Runs(this.#registrar)
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
    return this.#lines.of(id)
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

  /** The device that this hardware is known as, whether or not it may come in. */
  ownerOf(hardware: Pick<AttestationResult, 'anchor' | 'aliases'>): DeviceId | undefined {
    return ownerOf(this.#state, hardware)
  }

  /** The token whose secret was presented, spent or not. @throws RegistryError TOKEN_UNKNOWN, TOKEN_MISMATCH, TOKEN_REVOKED */
  requireToken(credential: TokenCredential): Token {
    return this.#tokens.require(credential)
  }

  /** What decides at every door whether a device's certificate opens anything; `address` is where it is, or was, shown from. */
  admit(holder: CertificateHolder, address?: string): Admission {
    return this.#lines.admit(holder, address)
  }

  /** The operator whose certificate this is, while it is valid. */
  admitOperator(fingerprint: Fingerprint): OperatorName | undefined {
    return this.operators.certificate(fingerprint)?.operator
  }

  /**
   * What a join comes to. Nothing has changed yet: the certificate is signed next, and {@link enroll} checks again.
   * Before a `repeat` is answered, wait for {@link settled}: its record may still be on its way to the disk.
   * `afterReset`: a TPM that was cleared or copied since may go on. @throws RegistryError
   */
  planEnrollment(
    attestation: AttestationResult,
    token?: TokenCredential,
    peer?: string,
    afterReset = false,
  ): EnrollmentPlan {
    return this.#lines.planEnrollment(attestation, { token, peer, afterReset })
  }

  /**
   * Spends the token, binds the device and records the certificate as pending, all in one change.
   * @throws RegistryError CONFLICT when another join came first (then plan again; this certificate is thrown away), or
   *   what the new plan is refused with
   */
  async enroll(plan: EnrollmentIssue, certificate: CertificateFacts, context: JoinContext): Promise<void> {
    return this.#lines.enroll(plan, certificate, context)
  }

  /** The table of spec §5. Before a `repeat` is answered, wait for {@link settled}. @throws RegistryError */
  planRenewal(identity: DeviceIdentity, asked: RenewalAsked, peer?: string): RenewalPlan {
    return this.#lines.planRenewal(identity, asked, peer)
  }

  /** @throws RegistryError CONFLICT when another renewal came first (then plan again), or what the new plan is refused with */
  async renew(plan: RenewalIssue, certificate: CertificateFacts, context: JoinContext): Promise<void> {
    return this.#lines.renew(plan, certificate, context)
  }

  /**
   * Locks the enrollment that two machines show, ends its sessions, and then refuses. Its siblings, those of the same token
   * or of other hardware, stay. @throws RegistryError CLONE_SUSPECTED when that is on record; else as {@link renew}
   */
  async lockClone(plan: RenewalClone, peer?: string): Promise<never> {
    return this.#lines.lockClone(plan, peer)
  }

  /** First use of a pending certificate makes it current. A current one stays as it is. @throws RegistryError */
  async promote(identity: DeviceIdentity, peer?: string): Promise<void> {
    return this.#lines.promote(identity, peer)
  }

  /** What a machine says of itself at a renewal, where that is something else than before: shown, never matched on. */
  async recordReport(instance: InstanceId, reported: Labels, peer?: string): Promise<void> {
    return this.#devices.recordReport(instance, reported, peer)
  }

  /** Says of a device how its PCRs were judged. @throws RegistryError DEVICE_UNKNOWN */
  async recordAttestation(attested: Attested): Promise<void> {
    return this.#devices.recordAttestation(attested)
  }

  /** @throws RegistryError TOKEN_INVALID, LABEL_INVALID, DEVICE_REVOKED */
  async createToken(token: NewToken, by: OperatorFacts): Promise<void> {
    return this.#tokens.create(token, by)
  }

  /** What joined with it stays. @throws RegistryError TOKEN_UNKNOWN */
  async revokeToken(token: TokenId, by: OperatorFacts): Promise<void> {
    return this.#tokens.revoke(token, by)
  }

  /** Makes a device known by its hardware before it arrives. @throws RegistryError ID_TAKEN, ANCHOR_TAKEN, LABEL_INVALID */
  async registerDevice(device: NewDevice, by: OperatorFacts): Promise<void> {
    return this.#devices.register(device, by)
  }

  /** What {@link registerDevice} would come to; see there. @throws RegistryError ID_TAKEN, ANCHOR_TAKEN, LABEL_INVALID, DEVICE_REVOKED */
  planRegistration(device: NewDevice): 'new' | 'known' {
    return planRegistration(this.#state, device)
  }

  /** Replaces all labels; live at once, without a new certificate. @throws RegistryError DEVICE_UNKNOWN, LABEL_INVALID */
  async labelDevice(device: DeviceId, labels: Labels, by: OperatorFacts): Promise<void> {
    return this.#devices.label(device, labels, by)
  }

  /**
   * Has the certificates replaced that these devices hold now, each with a record of its own: who shows one is told to
   * renew, see {@link CertificateRecord.rotate}. `target`: what was asked, for the records. @throws RegistryError DEVICE_UNKNOWN
   */
  async rotateDevices(devices: readonly DeviceId[], target: LockTarget, by: OperatorFacts): Promise<void> {
    return this.#devices.rotate(devices, target, by)
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
    return this.#devices.revoke(device, order)
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

  /** How often it was put back from a backup. */
  get restores(): number {
    return restoresIn(this.#state.epoch)
  }

  /**
   * It was just put back from a backup that has `treeSize` records and was taken `at`, in milliseconds since 1970: what
   * changes from here on has its place behind all that came after that backup.
   */
  async recordRestore(backup: { readonly treeSize: number; readonly at: number }): Promise<void> {
    const { treeSize, at } = backup
    const epoch = epochAfterRestore(this.#state.epoch)
    return this.#journal.change({ event: 'service.restore', treeSize, at, epoch })
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
    return this.#registrar.onChange(listener)
  }
}
