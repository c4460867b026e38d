import assert from 'node:assert/strict'
import test from 'node:test'
import { Enrollment } from '#enrollment'
import { readDeviceIdentity } from '#x509'
import { createCaWorld, trustDomain } from '../ca/world.js'
import { by, hour } from '../registry/world.js'
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

async function joined(world: EnrollmentWorld) {
  const key = await softwareKey()
  const { text } = await makeToken(world)
  const answer = await world.enrollment.joinWithToken(text, { csr: key.csr }, newChannel())
  return { ...key, answer, der: derOf(answer) }
}

test('a device renews with the certificate that it has, for a new key', async (t) => {
  const world = await createEnrollmentWorld(t)
  const first = await joined(world)
  world.clock.now += 13 * hour
  const next = await softwareKey()
  const answer = await world.enrollment.renew(first.der, { csr: next.csr }, newChannel())
  assert.equal(answer.deviceId, first.answer.deviceId)
  assert.equal(answer.instanceId, first.answer.instanceId)
  const admission = world.registry.admit(readDeviceIdentity(derOf(answer), trustDomain))
  assert.ok(admission.admitted && admission.state === 'pending')
  const again = await world.enrollment.renew(first.der, { csr: next.csr }, newChannel())
  assert.equal(again.certificate, answer.certificate)
})

test('a certificate that the CA signed and the registry does not know renews nothing', async (t) => {
  const world = await createEnrollmentWorld(t)
  const stolen = await createCaWorld(t)
  const ca = await stolen.openCa({ directory: world.directory })
  const forged = await joined({
    ...world,
    registry: stolen.registry,
    enrollment: new Enrollment({ ...world.options, ca, registry: stolen.registry }),
  })
  assert.equal(ca.root.pem, world.ca.root.pem)
  const { csr } = await softwareKey()
  await assert.rejects(world.enrollment.renew(forged.der, { csr }, newChannel()), { code: 'RENEWAL_REFUSED' })
  assert.deepEqual(refusals(world), ['UNKNOWN_CERTIFICATE'])
})

test('what is no certificate of ours renews nothing', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { csr } = await softwareKey()
  for (const der of [new Uint8Array(), world.ca.root.der, world.ekAuthority.root]) {
    await assert.rejects(world.enrollment.renew(der, { csr }, newChannel()), { code: 'RENEWAL_REFUSED' })
  }
})

test('revoked, expired and replaced certificates are told what became of them; a clone only that it is refused', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { csr } = await softwareKey()
  const renew = (der: Uint8Array) => world.enrollment.renew(der, { csr }, newChannel())

  const revoked = await joined(world)
  await world.registry.revokeDevice(revoked.answer.deviceId, { ...by, reason: 'keyCompromise' }).done
  await assert.rejects(renew(revoked.der), { code: 'DEVICE_REVOKED' })

  const cloned = await joined(world)
  const next = derOf(await world.enrollment.renew(cloned.der, { csr: (await softwareKey()).csr }, newChannel()))
  await world.registry.promote(readDeviceIdentity(next, trustDomain))
  await assert.rejects(renew(cloned.der), { code: 'RENEWAL_REFUSED' })

  const expired = await joined(world)
  world.clock.now += 32 * 24 * hour
  await assert.rejects(renew(expired.der), { code: 'CERTIFICATE_EXPIRED' })
  assert.deepEqual(refusals(world), ['DEVICE_REVOKED', 'CLONE_SUSPECTED', 'CERTIFICATE_EXPIRED'])
})

test('a key in a TPM renews for itself, and never for a key in software', async (t) => {
  const world = await createEnrollmentWorld(t)
  const device = await openDevice(await world.openTpm())
  const der = derOf(await joinWithTpm(world, device, (await makeToken(world)).text))
  const { csr } = await softwareKey()
  await assert.rejects(world.enrollment.renew(der, { csr }, newChannel()), { code: 'KEY_NOT_CERTIFIED' })
  const answer = await world.enrollment.renew(der, { csr: await csrOf(device.tpm, device.key) }, newChannel())
  assert.equal(readDeviceIdentity(derOf(answer), trustDomain).tier, 'tpm')
})
