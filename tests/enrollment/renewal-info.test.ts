import assert from 'node:assert/strict'
import test from 'node:test'
import type { JoinAnswer, LockTarget } from '#protocol'
import { parseLockId } from '#protocol'
import { certificateId, decodePem, readDeviceIdentity } from '#x509'
import { trustDomain } from '../ca/world.js'
import { by, hour } from '../registry/world.js'
import { createEnrollmentWorld, type EnrollmentWorld, makeToken, newChannel, refusals, softwareKey } from './world.js'

test('says the window that came with the certificate, until an operator wants it replaced', async (t) => {
  const world = await createEnrollmentWorld(t)
  const first = await joined(world)
  assert.deepEqual(await ask(world, first.der), first.answer.renewal)
  const target: LockTarget = { device: first.answer.deviceId }
  await world.registry.rotateDevices([first.answer.deviceId], target, by)
  const { start, end } = await ask(world, first.der)
  assert.ok(start < end && end.getTime() < world.clock.now, 'over, whatever the device’s clock says')

  const renew = async (csr: Uint8Array) => world.enrollment.renew(first.der, { csr }, newChannel())
  const next = await renew((await softwareKey()).csr)
  assert.deepEqual(await ask(world, derOf(next)), next.renewal, 'what was issued since is not meant')
  const reopened = await world.open()
  assert.equal(reopened.certificate(readDeviceIdentity(first.der, trustDomain).fingerprint)?.rotate, true)
})

test('a key whose certificate is to be replaced gets no such certificate again', async (t) => {
  const world = await createEnrollmentWorld(t)
  const first = await joined(world)
  const { csr } = await softwareKey()
  const renew = async () => world.enrollment.renew(first.der, { csr }, newChannel())
  const lost = await renew()
  assert.equal((await renew()).certificate, lost.certificate)
  await world.registry.rotateDevices([first.answer.deviceId], { device: first.answer.deviceId }, by)
  assert.notEqual((await renew()).certificate, lost.certificate)

  const unused = await joined(world)
  const joinAgain = async () => world.enrollment.joinWithToken(unused.token, { csr: unused.csr }, newChannel())
  assert.equal((await joinAgain()).certificate, unused.answer.certificate)
  await world.registry.rotateDevices([unused.answer.deviceId], { device: unused.answer.deviceId }, by)
  assert.notEqual((await joinAgain()).certificate, unused.answer.certificate)
})

test('says nothing of another certificate, nor to whom nothing is renewed, and has it on record', async (t) => {
  const world = await createEnrollmentWorld(t)
  const [one, other] = [await joined(world), await joined(world)]
  const refused = { code: 'RENEWAL_REFUSED' }
  const of = (id: string) => world.enrollment.renewalInfo(one.der, id, newChannel())
  await assert.rejects(of(certificateId(other.der)), refused)
  await assert.rejects(of('x'.repeat(128)), refused)
  const order = { target: { device: one.answer.deviceId }, mode: 'lock', reason: 'a test' } as const
  await world.registry.addLock({ lock: parseLockId('one'), ...order }, by).done
  await assert.rejects(ask(world, one.der), refused)
  await world.registry.revokeDevice(other.answer.deviceId, { ...by, reason: 'keyCompromise' }).done
  await assert.rejects(ask(world, other.der), refused)
  await assert.rejects(ask(world, world.ca.root.der), refused)
  const late = await joined(world)
  world.clock.now += 24 * hour
  await assert.rejects(ask(world, late.der), refused)
  assert.ok(refusals(world).every((reason) => reason === 'RENEWAL_REFUSED'))
})

async function joined(world: EnrollmentWorld) {
  const { csr } = await softwareKey()
  const { text: token } = await makeToken(world)
  const answer = await world.enrollment.joinWithToken(token, { csr }, newChannel())
  return { csr, token, answer, der: derOf(answer) }
}

async function ask(world: EnrollmentWorld, der: Uint8Array) {
  // The root is no device's certificate, and has no name of this kind.
  const id = der === world.ca.root.der ? 'none' : certificateId(der)
  return (await world.enrollment.renewalInfo(der, id, newChannel())).suggestedWindow
}

function derOf({ certificate }: JoinAnswer): Uint8Array {
  return decodePem(certificate, 'CERTIFICATE')[0] ?? assert.fail()
}
