import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Enrollment } from '#enrollment'
import { parseDeviceId, parseLockId, type TpmJoinRequest } from '#protocol'
import { openSoftwareTpm } from '#simulators'
import { decodePublic, encodePublic, ekTemplates, toSpki } from '#tpm'
import { createCertificate, oids, readDeviceIdentity } from '#x509'
import { trustDomain } from '../ca/world.js'
import { by, hour, profile } from '../registry/world.js'
import { rocaModulus } from '../x509/roca-key.js'
import { deviceSpec, makeRoot } from '../x509/world.js'
import { bitFlipped, cutOrExtended, isRefusal } from './hostile-evidence.js'
import {
  createEnrollmentWorld,
  derOf,
  type Device,
  type EnrollmentWorld,
  evidenceOf,
  joinWithTpm,
  makeToken,
  newChannel,
  openDevice,
  pcrPolicyOf,
  refusals,
  renewalOf,
  softwareKey,
  withFreshKey,
} from './world.js'

const measured = { pcrPolicies: [pcrPolicyOf([0, 7])] }

test('case 77: a certificate or a quote that is cut, longer or changed at any byte is refused with a code', async (t) => {
  const world = await createEnrollmentWorld(t, measured)
  const device = await openDevice(await world.openTpm())
  const channel = newChannel()
  const good = await evidenceOf(device, { channel: channel.exporter, pcrs: [0, 7] })
  assert.ok(await world.enrollment.beginTpmJoin(good, channel))
  const { quote = assert.fail(), ekCertificates: [certificate = assert.fail()] = [] } = good
  const changed = (change: typeof bitFlipped): readonly (readonly [string, Partial<TpmJoinRequest>])[] => [
    ...change(certificate).map((bytes) => ['EK certificate', { ekCertificates: [bytes] }] as const),
    ...change(quote.attest).map((attest) => ['quote', { quote: { ...quote, attest } }] as const),
    ...change(quote.signature).map((signature) => ['signature', { quote: { ...quote, signature } }] as const),
    ...[0, 7].flatMap((pcr) =>
      change(new Uint8Array(32)).map((value) => {
        const sha256 = { ...quote.pcrs.sha256, [pcr]: value }
        return [`PCR ${pcr}`, { quote: { ...quote, pcrs: { sha256 } } }] as const
      }),
    ),
  ]
  for (const [name, hostile] of [...changed(cutOrExtended), ...changed(bitFlipped)]) {
    await assert.rejects(world.enrollment.beginTpmJoin({ ...good, ...hostile }, channel), isRefusal(name))
  }
})

test('case 83: a service whose clock goes back an hour, and comes right again, locks nobody out and lets nobody back in', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { enrollment, registry, clock } = world
  const join = async (device: string) => {
    const { text } = await makeToken(world, { device: parseDeviceId(device) })
    return derOf(await enrollment.joinWithToken(text, await softwareKey(), newChannel()))
  }
  const opens = (der: Uint8Array) => registry.admit(readDeviceIdentity(der, trustDomain)).admitted
  const renew = async (der: Uint8Array) => derOf(await enrollment.renew(der, await softwareKey(), newChannel()))
  const [pump, thief] = [await join('pump-1'), await join('thief')]
  await registry.promote(readDeviceIdentity(pump, trustDomain))
  await registry.revokeDevice(parseDeviceId('thief'), { ...by, reason: 'keyCompromise' }).done
  clock.now += 2 * hour
  const young = await join('pump-2')

  clock.now -= hour
  assert.deepEqual([pump, thief].map(opens), [true, false])
  const [newcomer, renewed] = [await join('pump-3'), await renew(pump)]
  await assert.rejects(renew(thief), { code: 'DEVICE_REVOKED' })
  await assert.rejects(renew(young), { code: 'RENEWAL_REFUSED' }, 'not valid yet')

  clock.now += hour
  assert.deepEqual([newcomer, renewed, young, thief].map(opens), [true, true, true, false])
  for (const der of [newcomer, renewed, young]) await renew(der)
})

test('case 84: a PCR that is no longer what the profile names is found at the renewal', async (t) => {
  const world = await createEnrollmentWorld(t, measured)
  const device = await openDevice(await world.openTpm())
  const { text } = await makeToken(world)
  const answer = await joinWithTpm(world, device, text, [0, 7])
  const der = derOf(answer)
  assert.equal(readDeviceIdentity(der, trustDomain).tier, 'tpm+pcr')
  // The TPM of software always measures nothing: so what is named changes, and not what is measured.
  const pcrs = new Map([0, 7].map((pcr) => [pcr, [{ value: 'ab'.repeat(32) }]]))
  const enrollment = new Enrollment({ ...world.options, pcrPolicyFor: () => pcrPolicyOf([], { pcrs }) })
  t.after(() => enrollment.close())
  const channel = newChannel()
  const renewal = await renewalOf(await withFreshKey(device), { channel: channel.exporter, pcrs: [0, 7] })
  const renewed = derOf(await enrollment.renew(der, renewal, channel))
  assert.equal(readDeviceIdentity(renewed, trustDomain).tier, 'tpm')
  assert.deepEqual(world.quarantined, [answer.deviceId])
  assert.equal(world.registry.attestation(answer.deviceId)?.outcome, 'bad')
})

test('case 87: whoever shows the certificate of another’s TPM is challenged alike, known, locked or not, and leaves no trace', async (t) => {
  const world = await createEnrollmentWorld(t)
  const victim = await openDevice(await world.openTpm())
  const attacker = { ...(await openDevice(await world.openTpm())), ek: victim.ek }
  const untouched = withoutState(t, world)
  const records = world.audit.records.length
  const challenged = async () => {
    const channel = newChannel()
    const evidence = await evidenceOf(attacker, { channel: channel.exporter })
    const { cookie, credentialBlob, encryptedSecret } = await untouched.beginTpmJoin(evidence, channel)
    assert.equal(world.audit.records.length, records + changes)
    return [cookie.length, credentialBlob.length, encryptedSecret.length]
  }
  let changes = 0
  const unknown = await challenged()

  const anchor = { kind: 'ek', hash: victim.ekHash } as const
  await world.registry.registerDevice({ device: parseDeviceId('pump-1'), profile, labels: {}, anchor }, by)
  changes = world.audit.records.length - records
  assert.deepEqual(await challenged(), unknown)

  const lock = { lock: parseLockId('lock-1'), target: { ek: victim.ekHash }, mode: 'lock', reason: 'stolen' } as const
  await world.registry.addLock(lock, by).done
  changes = world.audit.records.length - records
  assert.deepEqual(await challenged(), unknown)

  const channel = newChannel()
  const evidence = await evidenceOf(attacker, { channel: channel.exporter })
  const challenge = await world.enrollment.beginTpmJoin(evidence, channel)
  const guessed = { cookie: challenge.cookie, secret: new Uint8Array(32) }
  await assert.rejects(world.enrollment.activateTpmJoin(guessed, channel), { code: 'ACTIVATION_FAILED' })
})

test('case 88: a power cut takes the clock back and is no event; the same without a reset is a copy', async (t) => {
  const world = await createEnrollmentWorld(t)
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-tpm-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const powerOn = () => openSoftwareTpm({ folder, ekAuthority: world.ekAuthority, now: world.now })
  const tpm = await powerOn()
  world.clock.now += hour
  const { text } = await makeToken(world)
  let der = derOf(await joinWithTpm(world, await openDevice(tpm), text))

  const after = await openDevice(await powerOn()) // its clock begins where it was last written: an hour earlier
  const channel = newChannel()
  const renewal = await renewalOf(after, { channel: channel.exporter })
  der = derOf(await world.enrollment.renew(der, renewal, channel))
  assert.equal(readDeviceIdentity(der, trustDomain).tier, 'tpm')
  assert.deepEqual(refusals(world), [])

  const before = await openDevice(tpm) // the TPM of before the reset goes on beside it, as a snapshot would
  const copied = await renewalOf(before, { channel: channel.exporter })
  await assert.rejects(world.enrollment.renew(der, copied, channel), { code: 'TPM_HISTORY_BROKEN' })
})

test('case 96: the exporter’s value is no nonce, and a nonce is no exporter’s value', async (t) => {
  const world = await createEnrollmentWorld(t)
  const device = await openDevice(await world.openTpm())
  const channel = newChannel()
  const offered = await evidenceOf(device, { channel: channel.exporter, binding: 'nonce' })
  await assert.rejects(world.enrollment.beginTpmJoin(offered, channel), { code: 'NONCE_INVALID' })
  const { nonce } = world.enrollment.createNonce()
  const bound = await evidenceOf(device, { channel: nonce })
  await assert.rejects(world.enrollment.beginTpmJoin(bound, channel), { code: 'CERTIFY_STALE' })
  // Evidence for a nonce says so: it cannot be passed on as evidence for the exporter, were they ever the same bytes.
  const evidence = await evidenceOf(device, { channel: nonce, binding: 'nonce' })
  const disguised = { ...evidence, binding: 'exporter' } as const
  await assert.rejects(world.enrollment.beginTpmJoin(disguised, { ...channel, exporter: nonce }), {
    code: 'CERTIFY_STALE',
  })
})

test('case 102: an endorsement key with the ROCA fingerprint is refused, though its maker vouches for it', async (t) => {
  const world = await createEnrollmentWorld(t)
  const device = await openDevice(await world.openTpm())
  const template = ekTemplates.find(({ name }) => name === 'rsa-2048')?.public
  assert.ok(template?.type === 'rsa')
  const ek = { ...template, modulus: Buffer.from(rocaModulus(), 'base64url') }
  const maker = await makeRoot()
  const at = world.now()
  const certificate = await createCertificate(
    deviceSpec('ek', {
      spki: toSpki(ek),
      ...{ keyUsage: ['keyEncipherment'], extKeyUsage: [oids.ekCertificate] },
      ...{ notBefore: new Date(at - hour), notAfter: new Date(at + hour) },
    }),
    maker,
  )
  const ekMakers = [{ id: 'TEST', roots: [maker.certificate], intermediates: [] }]
  const enrollment = new Enrollment({ ...world.options, ekMakers })
  t.after(() => enrollment.close())
  const weak: Device = { ...device, ek: { ...device.ek, public: encodePublic(ek), certificates: [certificate] } }
  await assert.rejects(joinWithTpm({ ...world, enrollment }, weak), { code: 'EK_CERTIFICATE_INVALID', message: /ROCA/ })
})

test('case 102: a key whose name is made with SHA-1, or with no hash, is none', async (t) => {
  const world = await createEnrollmentWorld(t)
  const device = await openDevice(await world.openTpm())
  const channel = newChannel()
  const good = await evidenceOf(device, { channel: channel.exporter })
  const decoded = decodePublic(good.akPublic)
  assert.equal(decoded.nameAlg, 'sha256')
  for (const part of ['ekPublic', 'akPublic', 'keyPublic'] as const) {
    for (const nameAlg of [0x0004, 0x0010]) {
      const area = Buffer.from(good[part])
      area.writeUInt16BE(nameAlg, 2) // TPMT_PUBLIC: type, nameAlg
      const hostile = { ...good, [part]: new Uint8Array(area) }
      await assert.rejects(world.enrollment.beginTpmJoin(hostile, channel), { code: 'EVIDENCE_MALFORMED' })
    }
  }
})

/** An enrollment whose registry and CA fail whoever asks them anything. */
function withoutState(t: TestContext, world: EnrollmentWorld): Enrollment {
  const none = (): never => assert.fail('a stranger’s first request asked for what we know')
  const enrollment = new Enrollment({
    ...world.options,
    registry: {
      ...{ requireToken: none, certificate: none, instance: none, admit: none },
      ...{ attestation: none, recordAttestation: none, ownerOf: none },
      get runs() {
        return none()
      },
      get locks() {
        return none()
      },
    },
    ca: { issue: none, issueRun: none, renew: none, chain: world.ca.chain, root: world.ca.root, signers: [] },
  })
  t.after(() => enrollment.close())
  return enrollment
}
