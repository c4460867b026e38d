import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { TpmRenewRequest } from '#protocol'
import { openSoftwareTpm } from '#simulators'
import { decodePublic, encodePublic, qualifyingData, type Tpm, toSpki } from '#tpm'
import { readDeviceIdentity } from '#x509'
import { trustDomain } from '../ca/world.js'
import { by, hour, profile } from '../registry/world.js'
import { bitFlipped, cutOrExtended, isRefusal, variants } from './hostile-evidence.js'
import {
  createEnrollmentWorld,
  csrOf,
  derOf,
  type Device,
  type EnrollmentWorld,
  type EvidencePurpose,
  joinWithTpm,
  makeToken,
  newChannel,
  openDevice,
  pcrPolicyOf,
  quoteOf,
  refusals,
  renewalOf,
  softwareKey,
  withFreshKey,
  type WorldOptions,
} from './world.js'

const measured = { pcrPolicies: [pcrPolicyOf([0, 7])] }
const verifiedTpmResidency = Buffer.from('6781050b0101', 'hex') // 2.23.133.11.1.1

/** A device that has joined with its TPM. */
async function joined(t: TestContext, options: WorldOptions = {}, pcrs?: readonly number[]) {
  const world = await createEnrollmentWorld(t, options)
  const device = await openDevice(await world.openTpm())
  const { text } = await makeToken(world)
  const answer = await joinWithTpm(world, device, text, pcrs)
  return { world, device, answer, der: derOf(answer) }
}

/** One renewal over a connection of its own, with evidence that the device makes for it. */
async function renew(world: EnrollmentWorld, der: Uint8Array, device: Device, purpose: Partial<EvidencePurpose> = {}) {
  const channel = newChannel()
  const request = await renewalOf(device, { channel: channel.exporter, ...purpose })
  const answer = await world.enrollment.renew(der, request, channel)
  return { answer, der: derOf(answer), ...readDeviceIdentity(derOf(answer), trustDomain) }
}

test('a fresh key of the same TPM renews, and its certificate says where it lives', async (t) => {
  const { world, device, answer, der } = await joined(t)
  world.clock.now += 13 * hour
  const fresh = await withFreshKey(device)
  const renewed = await renew(world, der, fresh)
  assert.equal(renewed.answer.instanceId, answer.instanceId)
  assert.equal(renewed.tier, 'tpm')
  assert.ok(Buffer.from(renewed.der).includes(verifiedTpmResidency))

  const record = world.audit.records.findLast(({ event }) => event === 'device.renew')
  assert.ok(record?.event === 'device.renew')
  assert.equal(record.binding, 'exporter')
  const attested = world.registry.instance(answer.instanceId)?.tpm
  assert.equal(attested?.clock, record.clock)
  assert.ok((attested?.clock ?? 0) >= 13 * hour)

  const again = await renew(world, renewed.der, await withFreshKey(fresh))
  assert.equal(again.tier, 'tpm')
})

test('the same key renews without evidence too, and then says less', async (t) => {
  const { world, device, der } = await joined(t)
  const channel = newChannel()
  const plain = await world.enrollment.renew(der, { csr: await csrOf(device.tpm, device.key) }, channel)
  assert.equal(readDeviceIdentity(derOf(plain), trustDomain).tier, 'tpm')
  assert.ok(!Buffer.from(derOf(plain)).includes(verifiedTpmResidency))
  world.clock.now += 13 * hour
  const proven = await renew(world, der, device)
  assert.ok(Buffer.from(proven.der).includes(verifiedTpmResidency))
})

test('a renewal that is asked for again gets the same certificate, with evidence or as a key that is certified now', async (t) => {
  const { world, device, der } = await joined(t)
  const fresh = await withFreshKey(device)
  const first = await renew(world, der, fresh)
  assert.equal((await renew(world, der, fresh)).answer.certificate, first.answer.certificate)
  const bare = await world.enrollment.renew(der, { csr: await csrOf(fresh.tpm, fresh.key) }, newChannel())
  assert.equal(bare.certificate, first.answer.certificate)
  const unknown = await withFreshKey(device)
  const { csr } = await renewalOf(unknown, { channel: newChannel().exporter })
  await assert.rejects(world.enrollment.renew(der, { csr }, newChannel()), { code: 'KEY_NOT_CERTIFIED' })
})

test('only a quote of this very renewal makes it tpm+pcr', async (t) => {
  const { world, device, der } = await joined(t, measured, [0, 7])
  assert.equal(readDeviceIdentity(der, trustDomain).tier, 'tpm+pcr')
  const without = await renew(world, der, await withFreshKey(device))
  assert.equal(without.tier, 'tpm')
  const quoted = await renew(world, without.der, await withFreshKey(device), { pcrs: [0, 7] })
  assert.equal(quoted.tier, 'tpm+pcr')
  await assert.rejects(renew(world, quoted.der, device, { pcrs: [0] }), { code: 'PCR_SELECTION_MISMATCH' })
})

test('a nonce stands in for the exporter once, and the record says so', async (t) => {
  const { world, device, der } = await joined(t)
  const { nonce } = world.enrollment.createNonce()
  await renew(world, der, device, { binding: 'nonce', channel: nonce })
  const record = world.audit.records.findLast(({ event }) => event === 'device.renew')
  assert.ok(record?.event === 'device.renew' && record.binding === 'nonce')
  await assert.rejects(renew(world, der, device, { binding: 'nonce', channel: nonce }), { code: 'NONCE_INVALID' })
})

test('evidence of another connection, TPM, key or time renews nothing', async (t) => {
  const { world, device, der } = await joined(t)
  const channel = newChannel()
  const fresh = await withFreshKey(device)
  const good = await renewalOf(fresh, { channel: channel.exporter })
  const send = (change: Partial<TpmRenewRequest>, over = channel) =>
    world.enrollment.renew(der, { ...good, ...change }, over)

  await assert.rejects(send({}, newChannel()), { code: 'CERTIFY_STALE' })
  const foreign = await openDevice(await world.openTpm())
  const theirs = await renewalOf(foreign, { channel: channel.exporter })
  await assert.rejects(world.enrollment.renew(der, theirs, channel), { code: 'AK_MISMATCH' })
  await assert.rejects(send({ certify: theirs.certify }), { code: 'CERTIFY_STALE' })
  await assert.rejects(send({ csr: (await softwareKey()).csr }), { code: 'CSR_KEY_MISMATCH' })

  const spki = toSpki(decodePublic(good.keyPublic))
  const data = qualifyingData({ binding: 'exporter', channel: channel.exporter, trustDomain, spki, profile })
  const other = await device.tpm.certify(device.key, device.ak, data)
  await assert.rejects(send({ certify: other }), { code: 'CERTIFY_KEY_MISMATCH' })
  const { attest, signature } = good.certify
  const changed = attest.with(-1, (attest.at(-1) ?? 0) ^ 1) // within the qualified name, which nothing else looks at
  await assert.rejects(send({ certify: { attest: changed, signature } }), { code: 'CERTIFY_SIGNATURE_INVALID' })
  const stale = await quoteOf(device, new Uint8Array(32), [0])
  await assert.rejects(send({ quote: stale }), { code: 'QUOTE_STALE' })
  assert.ok(!refusals(world).includes('KEY_NOT_CERTIFIED'))
})

test('an attestation key or a TLS key that may leave its TPM renews nothing', async (t) => {
  const { world, device, der } = await joined(t)
  const channel = newChannel()
  const good = await renewalOf(await withFreshKey(device), { channel: channel.exporter })
  const exportable = (area: Uint8Array): Uint8Array => {
    const decoded = decodePublic(area)
    return encodePublic({ ...decoded, attributes: { ...decoded.attributes, fixedTPM: false } })
  }
  const send = (change: Partial<TpmRenewRequest>) => world.enrollment.renew(der, { ...good, ...change }, channel)
  await assert.rejects(send({ akPublic: exportable(good.akPublic) }), { code: 'AK_MISMATCH' })
  await assert.rejects(send({ keyPublic: exportable(good.keyPublic) }), { code: 'KEY_UNSUITABLE' })
})

test('a device that joined without a TPM cannot bring one along later', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { text } = await makeToken(world)
  const software = await softwareKey()
  const der = derOf(await world.enrollment.joinWithToken(text, { csr: software.csr }, newChannel()))
  const device = await openDevice(await world.openTpm())
  await assert.rejects(renew(world, der, device), { code: 'AK_MISMATCH' })
  assert.deepEqual(refusals(world), ['AK_MISMATCH'])
})

test('renewal evidence that is cut, extended or changed at any byte ends in a coded error', async (t) => {
  const { world, device, der } = await joined(t)
  const channel = newChannel()
  const good = await renewalOf(await withFreshKey(device), { channel: channel.exporter })
  const parts = ['akPublic', 'keyPublic', 'csr'] as const
  for (const change of [cutOrExtended, bitFlipped]) {
    for (const [name, hostile] of variants(good, parts, change)) {
      await assert.rejects(world.enrollment.renew(der, { ...good, ...hostile }, channel), isRefusal(name))
    }
  }
})

test('a TPM whose counters went back renews nothing until it has joined anew', async (t) => {
  const world = await createEnrollmentWorld(t)
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-tpm-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const { ekAuthority, now } = world
  const powerOn = (name: string): Promise<Tpm> => openSoftwareTpm({ folder: join(folder, name), ekAuthority, now })

  const made = await powerOn('chip')
  await made.close()
  cpSync(join(folder, 'chip'), join(folder, 'copy'), { recursive: true })
  for (let resets = 0; resets < 3; resets++) await (await powerOn('chip')).close()
  const tpm = await powerOn('chip')
  const stored = await tpm.createSigningKey()
  const open = async (from: Tpm): Promise<Device> => ({
    ...(await openDevice(from)),
    key: await from.loadSigningKey(stored),
  })
  const { text } = await makeToken(world)
  const der = derOf(await joinWithTpm(world, await open(tpm), text))
  await tpm.close()

  const afterReset = await open(await powerOn('chip'))
  const renewed = await renew(world, der, afterReset)
  const copy = await open(await powerOn('copy'))
  await assert.rejects(renew(world, renewed.der, copy), { code: 'TPM_HISTORY_BROKEN' })
  assert.deepEqual(refusals(world), ['TPM_HISTORY_BROKEN'])

  await assert.rejects(joinWithTpm(world, copy), { code: 'APPROVAL_PENDING' })
  await world.approvals.approve(copy.ekHash, {}, by)
  const rejoined = derOf(await joinWithTpm(world, copy))
  assert.equal((await renew(world, rejoined, copy)).tier, 'tpm')
})
