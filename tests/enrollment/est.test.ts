import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDeviceId } from '#protocol'
import { createKeyPair, oids, readDeviceIdentity, spkiOf } from '#x509'
import { basicConstraints, extKeyUsage, keyUsage, subjectAltName } from '../../x509/extensions.js'
import { trustDomain } from '../ca/world.js'
import { csrWith, type Said } from '../x509/csr-with.js'
import { hour } from '../registry/world.js'
import {
  createEnrollmentWorld,
  csrOf,
  derOf,
  type EnrollmentWorld,
  joinWithTpm,
  makeToken,
  newChannel,
  openDevice,
  refusals,
  softwareKey,
} from './world.js'

/* What EST adds to joins and renewals: what a CSR says beside its key counts, and must be so. */

const pump = parseDeviceId('pump-1')
const asPump: Said = {
  subject: [{ type: oids.commonName, value: pump }],
  extensions: [subjectAltName([{ uri: `spiffe://fleet.example/device/${pump}` }], false)],
}
const asOther: Said = { subject: [{ type: oids.commonName, value: 'pump-2' }] }

const bindingOf = ({ exporter }: { readonly exporter: Uint8Array }) => Buffer.from(exporter).toString('base64')

async function joined(world: EnrollmentWorld) {
  const pair = createKeyPair('P-256')
  const { text } = await makeToken(world, { device: pump })
  const answer = await world.enrollment.joinWithToken(text, { csr: csrWith({}, pair) }, newChannel(), 'claims')
  return { pair, der: derOf(answer) }
}

test('a CSR that claims its connection is held to it, and the record says which binding there was', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { text } = await makeToken(world, { uses: 9 })
  const channel = newChannel()
  const join = (challengePassword?: string) => {
    const csr = csrWith({ ...(challengePassword !== undefined && { challengePassword }) })
    return world.enrollment.joinWithToken(text, { csr }, channel, 'claims')
  }
  await join(bindingOf(channel))
  await join()
  const bindings = world.audit.records.flatMap((record) => (record.event === 'device.enroll' ? [record.binding] : []))
  assert.deepEqual(bindings, ['exporter', 'none'])

  const hex = Buffer.from(channel.exporter).toString('hex')
  for (const wrong of [bindingOf(newChannel()), hex, `${bindingOf(channel)}=`, bindingOf(channel).slice(0, -1), '']) {
    await assert.rejects(join(wrong), { code: 'CHANNEL_MISMATCH' }, wrong)
  }
  assert.deepEqual(refusals(world), ['CHANNEL_MISMATCH'])
})

test('a challenge password that is not read as a claim is passed over', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { text } = await makeToken(world)
  await world.enrollment.joinWithToken(text, { csr: csrWith({ challengePassword: 'x', ...asOther }) }, newChannel())
  const { binding } = world.audit.records.find((record) => record.event === 'device.enroll') ?? assert.fail()
  assert.equal(binding, 'none')
})

test('case 82: a CSR that asks for CA:TRUE, other usages or other names becomes a device’s certificate like others', async (t) => {
  const world = await createEnrollmentWorld(t)
  const extensions = [
    basicConstraints({}),
    keyUsage(['keyCertSign', 'cRLSign']),
    extKeyUsage([oids.serverAuth, oids.anyExtendedKeyUsage]),
    subjectAltName([{ uri: 'spiffe://fleet.example/operator/admin' }, { dns: 'admin.example' }], false),
  ]
  for (const reading of ['key', 'claims'] as const) {
    const { text } = await makeToken(world, { device: pump })
    const csr = csrWith({ ...asOther, extensions })
    const answer = await world.enrollment.joinWithToken(text, { csr }, newChannel(), reading)
    // Nothing but the profile of a device is read as one.
    assert.equal(readDeviceIdentity(derOf(answer), trustDomain).deviceId, pump)
  }
})

test('a renewal names the device as its certificate does, or not at all', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { der, pair } = await joined(world)
  world.clock.now += 13 * hour
  const renew = (said: Said) => world.enrollment.renew(der, { csr: csrWith(said, pair) }, newChannel(), 'claims')
  assert.equal((await renew({})).deviceId, pump)
  assert.equal((await renew(asPump)).deviceId, pump)
  const admin = { extensions: [subjectAltName([{ dns: 'admin.example' }], false)] }
  for (const foreign of [asOther, { ...asPump, ...admin }, admin]) {
    await assert.rejects(renew(foreign), { code: 'CSR_NAME_MISMATCH' })
  }
  await assert.rejects(renew({ challengePassword: bindingOf(newChannel()) }), { code: 'CHANNEL_MISMATCH' })
  assert.deepEqual(refusals(world), ['CSR_NAME_MISMATCH', 'CHANNEL_MISMATCH'])
})

test('the record of a renewal says that its CSR claimed the connection, where it did', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { der } = await joined(world)
  world.clock.now += 13 * hour
  const channel = newChannel()
  const csr = csrWith({ challengePassword: bindingOf(channel) })
  const next = derOf(await world.enrollment.renew(der, { csr }, channel, 'claims'))
  world.clock.now += 13 * hour
  await world.enrollment.renew(next, { csr: csrWith({}) }, newChannel(), 'claims')
  const bindings = world.audit.records.flatMap((record) => (record.event === 'device.renew' ? [record.binding] : []))
  assert.deepEqual(bindings, ['exporter', undefined])
})

test('a renewal is for the same key or a new one, and of a key in a TPM for that key', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { der } = await joined(world)
  const device = await openDevice(await world.openTpm())
  const { text } = await makeToken(world)
  const ofTpm = derOf(await joinWithTpm(world, device, text))
  world.clock.now += 13 * hour
  const fresh = createKeyPair('P-256')
  const renew = async (shown: Uint8Array, csr: Uint8Array) =>
    derOf(await world.enrollment.renew(shown, { csr }, newChannel(), 'claims'))

  assert.ok(Buffer.from(await renew(der, csrWith({}, fresh))).includes(Buffer.from(spkiOf(fresh.publicKey))))
  assert.notDeepEqual(await renew(ofTpm, await csrOf(device.tpm, device.key)), ofTpm)
  await assert.rejects(renew(ofTpm, (await softwareKey()).csr), { code: 'KEY_NOT_CERTIFIED' })
})

test('a token is asked for before what the CSR says, and its signature after', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { text } = await makeToken(world)
  const join = (token: string, csr: Uint8Array) =>
    world.enrollment.joinWithToken(token, { csr }, newChannel(), 'claims')
  const unknown = `tm1.nobody.${'A'.repeat(43)}`
  await assert.rejects(join(unknown, csrWith({ challengePassword: 'x' })), { code: 'TOKEN_REFUSED' })
  for (const hostile of [new Uint8Array(), csrWith({}).subarray(1), Buffer.concat([csrWith({}), Uint8Array.of(0)])]) {
    await assert.rejects(join(text, hostile), { code: 'CSR_INVALID' })
  }
  const forged = csrWith({})
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
  await assert.rejects(join(text, forged), { code: 'CSR_INVALID' })
})
