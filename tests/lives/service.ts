import {
  type AttestationResult,
  type AuditRecord,
  type CertificateFacts,
  CodedError,
  type DeviceIdentity,
} from '#protocol'
import { type CertificateRecord, type OfflineTerms, Registry, type TokenCredential } from '#registry'
import { certificateFor, fromLog, hash, hour, identityOf } from '../registry/world.js'
import type { Random } from '../model/policies.js'
import { ModelLog, ModelStore, type Surviving } from './disk.js'

/** What a machine asks of the service. Whoever asks holds the keys that it names: TLS and the CSR have shown that. */
export type Ask =
  | { readonly kind: 'join'; readonly attestation: AttestationResult; readonly token?: TokenCredential }
  | { readonly kind: 'renew'; readonly presented: DeviceIdentity; readonly key: string }
  | { readonly kind: 'connect'; readonly presented: DeviceIdentity }

export type Answer =
  { readonly certificate: DeviceIdentity } | { readonly connected: true } | { readonly refused: string }

export const offline: OfflineTerms = { mostMilliseconds: 30 * 24 * hour, recover: 'quarantine' }

/** So many older states of the store there are to be put back. */
const keptCopies = 4

/**
 * The registry with everything around it that can fail: it signs, writes and syncs only when told to, and starts again from
 * what its disk holds, or from an older copy of its store.
 */
export class ModelService {
  readonly clock: { now: number }
  readonly #signatures: (() => void)[] = []
  readonly #copies: ReadonlyMap<string, Uint8Array>[] = []
  #log: ModelLog
  #store: ModelStore
  #registry: Registry
  /** Which start this is: what an earlier one had begun is never answered. */
  #start = 0

  static async open(clock: { now: number }): Promise<ModelService> {
    const { log, store, registry } = await openOn({ records: [], rows: new Map() }, clock)
    return new ModelService(clock, log, store, registry)
  }

  private constructor(clock: { now: number }, log: ModelLog, store: ModelStore, registry: Registry) {
    this.clock = clock
    this.#log = log
    this.#store = store
    this.#registry = registry
  }

  get registry(): Registry {
    return this.#registry
  }

  get records(): readonly AuditRecord[] {
    return this.#log.records
  }

  get rows(): ReadonlyMap<string, Uint8Array> {
    return this.#store.rows
  }

  get isIdle(): boolean {
    return this.#signatures.length === 0 && !this.#log.hasMore && !this.#store.hasMore
  }

  /** Never settles when the service is killed before. */
  async answer(ask: Ask): Promise<Answer> {
    const start = this.#start
    const answer = await this.#serve(ask).catch(refusalOf)
    return start === this.#start ? answer : new Promise(() => undefined)
  }

  /** One of the signatures that are being made is there. */
  sign(random: Random): void {
    const [done] = this.#signatures.splice(random(Math.max(1, this.#signatures.length)), 1)
    done?.()
  }

  /** No signature takes hours. */
  async signAll(): Promise<void> {
    while (this.#signatures.length > 0) {
      for (const done of this.#signatures.splice(0)) done()
      await turn()
    }
  }

  syncLog(): void {
    this.#log.sync()
  }

  syncStore(): void {
    this.#store.sync()
    this.#copies.push(new Map(this.#store.rows))
    if (this.#copies.length > keptCopies) this.#copies.shift()
  }

  /** Of what was written and not synced, some may be there all the same. The store may be an older one than the log. */
  async kill(random: Random): Promise<void> {
    this.#start++
    this.#signatures.length = 0
    const kept = this.#log.durable + 1 + random(this.#log.records.length - this.#log.durable)
    const older = random(4) === 0 ? this.#copies[random(Math.max(1, this.#copies.length))] : undefined
    const found = { records: this.#log.records.slice(0, kept), rows: older ?? this.#store.rows }
    const { log, store, registry } = await openOn(found, this.clock)
    this.#log = log
    this.#store = store
    this.#registry = registry
  }

  async #serve(ask: Ask): Promise<Answer> {
    switch (ask.kind) {
      case 'join':
        return { certificate: await onceMore(() => this.#join(ask.attestation, ask.token)) }
      case 'renew':
        return { certificate: await onceMore(() => this.#renew(ask.presented, ask.key)) }
      case 'connect':
        return this.#connect(ask.presented)
    }
  }

  async #join(attestation: AttestationResult, token: TokenCredential | undefined): Promise<DeviceIdentity> {
    const plan = this.#registry.planEnrollment(attestation, token)
    if (plan.kind === 'repeat') return this.#repeat(plan.certificate)
    const signed = await this.#signed(() => certificateFor(this, attestation.spkiHash, attestation.tier))
    await this.#registry.enroll(plan, signed, {})
    return identityOf(plan.device, signed)
  }

  async #renew(presented: DeviceIdentity, key: string): Promise<DeviceIdentity> {
    const plan = this.#registry.planRenewal(presented, { spkiHash: hash(key), offline })
    if (plan.kind === 'repeat') return this.#repeat(plan.certificate)
    if (plan.kind === 'clone') return this.#registry.lockClone(plan)
    const signed = await this.#signed(() => certificateFor(this, plan.asked.spkiHash, plan.tier))
    await this.#registry.renew(plan, signed, {})
    return identityOf(plan.device, signed)
  }

  /** As the broker does: first the door, then the first use, then CONNACK. */
  async #connect(presented: DeviceIdentity): Promise<Answer> {
    const admission = this.#registry.admit(presented)
    if (!admission.admitted) return { refused: admission.reason }
    if (admission.state === 'pending') await this.#registry.promote(presented)
    return { connected: true }
  }

  async #repeat(certificate: CertificateRecord): Promise<DeviceIdentity> {
    await this.#registry.settled()
    return identityOf(certificate.device, certificate)
  }

  async #signed(make: () => CertificateFacts): Promise<CertificateFacts> {
    await new Promise<void>((resolve) => this.#signatures.push(resolve))
    return make()
  }
}

/** A registry made of what a disk holds; what it writes at the start is written. */
export async function openOn({ records, rows }: Surviving, clock: { now: number }) {
  const log = new ModelLog(records, () => clock.now)
  const store = new ModelStore(rows)
  const opening = Registry.open({
    store,
    audit: log,
    replay: (from) => fromLog(log.records, from),
    now: () => clock.now,
  })
  let registry: Registry | undefined
  void opening.then((opened) => (registry = opened))
  while (registry === undefined) {
    store.sync()
    await turn()
  }
  registry.locks.judgeBy({ rolesOf: () => [], hasQuarantine: () => true })
  return { log, store, registry }
}

/** Until all that is not held back has happened. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

async function onceMore<T>(attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt()
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== 'CONFLICT') throw error
    return attempt()
  }
}

function refusalOf(error: unknown): Answer {
  if (error instanceof CodedError) return { refused: error.code }
  throw error
}
