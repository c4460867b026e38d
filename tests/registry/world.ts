import { createHash } from 'node:crypto'
import {
  type AttestationResult,
  type AuditRecord,
  type CertificateFacts,
  CodedError,
  type DeviceId,
  type DeviceIdentity,
  type Fingerprint,
  type OperatorFacts,
  parseCertificateSerial,
  parseDeviceId,
  parseFingerprint,
  parseOperatorName,
  parseProfileName,
  parseTokenId,
  type Tier,
} from '#protocol'
import { createMemoryAudit } from '#audit'
import { type EnrollmentPlan, type NewToken, Registry, type RenewalPlan, type TokenCredential } from '#registry'
import { createMemoryStore } from '#store'

export const hour = 3600 * 1000
export const profile = parseProfileName('default')
export const by: OperatorFacts = { operator: parseOperatorName('ada'), peer: '192.0.2.1' }

/** A registry with its log and store in memory, and a clock that stands until it is told otherwise. */
export async function createWorld() {
  const clock = { now: Date.parse('2026-01-31T12:00:00Z') }
  const now = (): number => clock.now
  const audit = createMemoryAudit({ now })
  const store = createMemoryStore()
  const replay = (from: number) => fromLog(audit.records, from)
  const open = (over: Partial<Parameters<typeof Registry.open>[0]> = {}) =>
    Registry.open({ store, audit, replay, now, ...over })
  return { clock, now, audit, store, replay, open, registry: await open() }
}
export type World = Awaited<ReturnType<typeof createWorld>>
/** As much of it as joining takes. */
type Joining = Pick<World, 'registry' | 'clock'>

export async function* fromLog(records: readonly AuditRecord[], from: number): AsyncIterable<AuditRecord> {
  yield* records.slice(from)
}

export function hash(text: string): Fingerprint {
  return parseFingerprint(createHash('sha256').update(text).digest('hex'))
}

export function newToken(world: Joining, id: string, over: Partial<NewToken> = {}): NewToken {
  return {
    token: parseTokenId(id),
    secretHash: hash(`secret of ${id}`),
    profile,
    labels: { site: 'oslo' },
    uses: 1,
    notAfter: world.clock.now + hour,
    ...over,
  }
}

export function credential(id: string): TokenCredential {
  return { id: parseTokenId(id), secretHash: hash(`secret of ${id}`) }
}

/** What enrollment concludes about the holder of `key`; its own maker is enrollment/evidence.ts. */
export function attested(
  key: string,
  by: { readonly token: string } | { readonly ek: string; readonly tier?: Tier },
): AttestationResult {
  const anchor =
    'token' in by
      ? ({ kind: 'token', hash: hash(`token ${by.token}`) } as const)
      : ({ kind: 'ek', hash: hash(`ek ${by.ek}`) } as const)
  const result = {
    profile,
    tier: 'token' in by ? 'token' : (by.tier ?? 'tpm'),
    anchor,
    spki: new TextEncoder().encode(key),
    spkiHash: hash(key),
    binding: 'exporter',
  }
  return result as AttestationResult
}

let serials = 0

/** As the CA would sign it now, for a day. */
export function certificateFor(world: Joining, spkiHash: Fingerprint, tier: Tier = 'token'): CertificateFacts {
  const serial = parseCertificateSerial((++serials).toString(16).padStart(32, '0'))
  return {
    fingerprint: hash(`certificate ${serial}`),
    serial,
    spkiHash,
    tier,
    notBefore: world.clock.now,
    notAfter: world.clock.now + 24 * hour,
    certificate: new TextEncoder().encode(`certificate ${serial}`),
  }
}

export function identityOf(device: DeviceId, certificate: CertificateFacts): DeviceIdentity {
  const identity = {
    deviceId: device,
    serial: certificate.serial,
    fingerprint: certificate.fingerprint,
    spkiHash: certificate.spkiHash,
    tier: certificate.tier,
    notBefore: new Date(certificate.notBefore),
    notAfter: new Date(certificate.notAfter),
  }
  return identity as DeviceIdentity
}

/** As a log or store says it that has no room. */
export class FullError extends CodedError<'AUDIT_FULL' | 'STORE_FULL'> {}

/** A whole token join of `key`; the token is made for it. */
export async function joinByToken(world: Joining, key: string, device?: string): Promise<DeviceIdentity> {
  const id = `for-${key.replaceAll(' ', '-')}`
  const bound = device === undefined ? {} : { device: parseDeviceId(device) }
  await world.registry.createToken(newToken(world, id, bound), by)
  return join(world, attested(key, { token: id }), credential(id))
}

export async function join(
  world: Joining,
  attestation: AttestationResult,
  token?: TokenCredential,
): Promise<DeviceIdentity> {
  const plan = issued(world.registry.planEnrollment(attestation, token))
  const certificate = certificateFor(world, attestation.spkiHash, attestation.tier)
  await world.registry.enroll(plan, certificate, { peer: '192.0.2.7' })
  return identityOf(plan.device, certificate)
}

export async function renew(world: World, presented: DeviceIdentity, key: string): Promise<DeviceIdentity> {
  const plan = issued(world.registry.planRenewal(presented, { spkiHash: hash(key) }))
  const certificate = certificateFor(world, plan.asked.spkiHash, plan.tier)
  await world.registry.renew(plan, certificate, {})
  return identityOf(plan.device, certificate)
}

export function issued<Plan extends EnrollmentPlan | RenewalPlan>(plan: Plan): Extract<Plan, { kind: 'issue' }> {
  if (plan.kind !== 'issue') throw new Error('expected a new certificate, got the one of before')
  return plan as Extract<Plan, { kind: 'issue' }>
}

/** A device whose EK the operator knows before it arrives. */
export async function register({ registry }: Pick<World, 'registry'>, id: string, ek: string): Promise<DeviceId> {
  const device = parseDeviceId(id)
  const anchor = { kind: 'ek', hash: hash(`ek ${ek}`) } as const
  await registry.registerDevice({ device, profile, labels: { site: 'bergen' }, anchor }, by)
  return device
}
