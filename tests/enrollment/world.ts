import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import {
  type DeviceId,
  type Fingerprint,
  type JoinAnswer,
  type Labels,
  type ProfileName,
  type TpmChallenge,
  type TpmJoinRequest,
  type TpmRenewRequest,
} from '#protocol'
import {
  Approvals,
  type Channel,
  createJoinToken,
  Enrollment,
  type EnrollmentOptions,
  type EnrollmentProfile,
  type LimitOptions,
  type PcrPolicyInForce,
} from '#enrollment'
import { createEkAuthority, openSoftwareTpm } from '#simulators'
import {
  decodePublic,
  type EkTemplateName,
  type EndorsementKey,
  qualifyingData,
  type Tpm,
  type TpmKey,
  toSpki,
} from '#tpm'
import { createCsr, createKeyPair, decodePem, spkiHash, spkiOf } from '#x509'
import { sign } from 'node:crypto'
import { createCaWorld, trustDomain } from '../ca/world.js'
import { by, newToken, profile as profileName } from '../registry/world.js'

export interface WorldOptions {
  readonly pcrPolicies?: readonly PcrPolicyInForce[]
  readonly profiles?: readonly Partial<EnrollmentProfile>[]
  readonly limits?: LimitOptions
  /** Default: the day on which the registry's world stands. */
  readonly at?: number
}

const unlimited = { perAddress: { burst: 1e6, perSecond: 1e6 } }

/** Enrollment on a real CA and registry, with a manufacturer of software TPMs that it trusts. */
export async function createEnrollmentWorld(t: TestContext, worldOptions: WorldOptions = {}) {
  const { profiles = [{}], limits = unlimited, pcrPolicies = [] } = worldOptions
  const eventLogs = new Map<DeviceId, Uint8Array>()
  const quarantined: DeviceId[] = []
  const locked: Fingerprint[] = []
  const world = await createCaWorld(t)
  world.clock.now = worldOptions.at ?? world.clock.now
  const ca = await world.openCa()
  const ekAuthority = await createEkAuthority({ folder: join(world.folder, 'maker'), now: world.now })
  const approvals = new Approvals(world)
  const options: EnrollmentOptions = {
    approvals,
    lockTpm: (ek) => void locked.push(ek),
    trustDomain,
    ca,
    registry: world.registry,
    audit: world.audit,
    profiles: profiles.map((profile) => ({ name: profileName, ...profile })),
    ekMakers: [{ id: 'TMRK', roots: [ekAuthority.root], intermediates: [] }],
    cookieKey: new Uint8Array(32).fill(9),
    broker: { mqtts: 'mqtts://broker.example:8883' },
    now: world.now,
    limits,
    pcrPolicyFor: (name) => pcrPolicies.find((policy) => policy.profiles.includes(name)),
    keepEventLog: async (device, eventLog) => void eventLogs.set(device, eventLog),
    quarantine: (device) => void quarantined.push(device),
  }
  const enrollment = new Enrollment(options)
  t.after(() => enrollment.close())
  const openTpm = (template: EkTemplateName = 'ecc-p256', authority = ekAuthority, eventLog?: Uint8Array) => {
    const folder = mkdtempSync(join(tmpdir(), 'touchmark-tpm-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    return openSoftwareTpm({
      folder,
      templates: [template],
      ekAuthority: authority,
      now: world.now,
      ...(eventLog && { eventLog }),
    })
  }
  return { ...world, ca, ekAuthority, options, approvals, enrollment, openTpm, eventLogs, quarantined, locked }
}
export type EnrollmentWorld = Awaited<ReturnType<typeof createEnrollmentWorld>>

/** A PCR policy that takes these values, by default those of a machine that has measured nothing. */
export function pcrPolicyOf(registers: readonly number[], over: Partial<PcrPolicyInForce> = {}): PcrPolicyInForce {
  const pcrs = new Map(registers.map((pcr) => [pcr, [{ value: '00'.repeat(32) }]]))
  const events = { secureBoot: false, require: [], only: [], forbid: [] }
  const facts = { name: 'measured', version: 1, mode: 'enforce', profiles: [profileName] } as const
  return { ...facts, pcrs, events, eventLog: false, ...over }
}

/** A connection of its own. */
export function newChannel(peer = '192.0.2.7'): Channel & Required<Pick<Channel, 'exporter'>> {
  return { peer, exporter: Uint8Array.from(randomBytes(32)) }
}

/** A token that an operator made, as text. */
export async function makeToken(world: EnrollmentWorld, over: Partial<Parameters<typeof newToken>[2]> = {}) {
  const { id, token, secretHash } = createJoinToken()
  await world.registry.createToken(newToken(world, id, { secretHash, ...over }), by)
  return { id, text: token }
}

/** A key in software with its CSR. */
export async function softwareKey() {
  const { privateKey, publicKey } = createKeyPair('P-256')
  const spki = spkiOf(publicKey)
  const csr = await createCsr({
    spki,
    sign: (data) => Promise.resolve(Uint8Array.from(sign('sha256', data, privateKey))),
  })
  return { privateKey, spki, csr }
}

/** A device with a TPM, its keys loaded before it connects. */
export async function openDevice(tpm: Tpm, template: EkTemplateName = 'ecc-p256') {
  const ek = await tpm.endorsementKey(template)
  const ak = await tpm.attestationKey()
  const key = await tpm.loadSigningKey(await tpm.createSigningKey())
  return { tpm, ek, ak, key, ekHash: spkiHash(toSpki(decodePublic(ek.public))) }
}
export type Device = Awaited<ReturnType<typeof openDevice>>

export interface EvidencePurpose {
  readonly channel: Uint8Array
  readonly binding?: 'exporter' | 'nonce'
  readonly profile?: ProfileName
  readonly pcrs?: readonly number[]
  readonly eventLog?: Uint8Array
  readonly reported?: Labels
}

/** What an honest device sends first. */
export async function evidenceOf(device: Device, purpose: EvidencePurpose): Promise<TpmJoinRequest> {
  const { certificates: ekCertificates, public: ekPublic } = device.ek
  const { profile = profileName } = purpose
  return { profile, ekCertificates, ekPublic, ...(await renewalOf(device, purpose)) }
}

/** What it sends to renew: the same, without the EK. */
export async function renewalOf(device: Device, purpose: EvidencePurpose): Promise<TpmRenewRequest> {
  const { tpm, ak, key } = device
  const { binding = 'exporter', profile = profileName, channel } = purpose
  const spki = toSpki(decodePublic(key.public))
  const data = qualifyingData({ binding, channel, trustDomain, spki, profile })
  return {
    binding,
    ...(binding === 'nonce' && { nonce: channel }),
    akPublic: ak.public,
    keyPublic: key.public,
    csr: await csrOf(tpm, key),
    certify: await tpm.certify(key, ak, data),
    ...(purpose.pcrs && { quote: await quoteOf(device, data, purpose.pcrs) }),
    ...(purpose.eventLog && { eventLog: purpose.eventLog }),
    ...(purpose.reported && { reported: purpose.reported }),
  }
}

export async function quoteOf({ tpm, ak }: Device, data: Uint8Array, pcrs: readonly number[]) {
  const { attest, signature, pcrs: values } = await tpm.quote(ak, data, pcrs)
  return { attest, signature, pcrs: { sha256: Object.fromEntries(values) } }
}

export function csrOf(tpm: Tpm, key: TpmKey): Promise<Uint8Array> {
  return createCsr({
    spki: toSpki(decodePublic(key.public)),
    sign: (data) => tpm.sign(key, createHash('sha256').update(data).digest()),
  })
}

/** Both requests of a TPM join over one connection. */
export async function joinWithTpm(world: EnrollmentWorld, device: Device, token?: string, pcrs?: readonly number[]) {
  const channel = newChannel()
  const request = await evidenceOf(device, { channel: channel.exporter, ...(pcrs && { pcrs }) })
  const challenge = await world.enrollment.beginTpmJoin({ ...request, ...(token !== undefined && { token }) }, channel)
  return world.enrollment.activateTpmJoin(await answerTo(device, challenge), channel)
}

export async function answerTo(
  { tpm, ak, ek }: { readonly tpm: Tpm; readonly ak: TpmKey; readonly ek: EndorsementKey },
  challenge: TpmChallenge,
) {
  return { cookie: challenge.cookie, secret: await tpm.activateCredential(ak, ek, challenge) }
}

/** DER of the certificate that an answer brought. */
export function derOf({ certificate }: JoinAnswer): Uint8Array {
  const [der] = decodePem(certificate, 'CERTIFICATE')
  if (der === undefined) throw new Error('the answer holds no certificate')
  return der
}

/** The device with another key of the same TPM. */
export async function withFreshKey(device: Device): Promise<Device> {
  return { ...device, key: await device.tpm.loadSigningKey(await device.tpm.createSigningKey()) }
}

/** Why joins were refused, as the log has it. */
export function refusals(world: EnrollmentWorld): readonly string[] {
  return world.audit.records.flatMap((record) => (record.event === 'join.refuse' ? [record.reason] : []))
}
