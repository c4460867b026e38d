import assert from 'node:assert/strict'
import test from 'node:test'
import { type DeviceIdentity, parseDeviceId, parseKeyIdentifier, parseLockId, parseLockTarget } from '#protocol'
import { LockedError } from '#registry'
import {
  attested,
  by,
  certificateFor,
  createWorld,
  credential,
  identityOf,
  issued,
  joinByToken,
  newToken,
  type World,
} from './world.js'

const oldKey = parseKeyIdentifier('a'.repeat(40))
const newKey = parseKeyIdentifier('b'.repeat(40))
const order = {
  lock: parseLockId('one'),
  target: { issuer: oldKey },
  mode: 'lock',
  reason: 'its key got away',
} as const

test('a lock on an issuer ends every certificate that its key has signed, and none of another', async () => {
  const world = await createWorld()
  const [first, second] = [await joinSigned(world, 'key 1', oldKey), await joinSigned(world, 'key 2', newKey)]
  await world.registry.promote(first)
  const { devices } = world.registry.addLock(order, by)
  assert.equal(devices, 1)
  assert.deepEqual(world.registry.admit(first), { admitted: false, reason: 'locked', comment: 'one' })
  assert.ok(world.registry.admit(second).admitted)
  assert.throws(
    () => world.registry.planRenewal(first, { spkiHash: first.spkiHash }),
    (error) => {
      return error instanceof LockedError && error.code === 'LOCKED' && error.lock === 'one'
    },
  )
})

test('whose issuer is locked comes back by a join that another key signs, and by none that the locked key does', async () => {
  const world = await createWorld()
  const first = await joinSigned(world, 'key 1', oldKey, 'pump-1')
  await world.registry.promote(first)
  world.registry.addLock(order, by)
  await assert.rejects(joinSigned(world, 'key 2', oldKey, 'pump-1'), { code: 'LOCKED' })
  const back = await joinSigned(world, 'key 3', newKey, 'pump-1')
  assert.ok(world.registry.admit(back).admitted)
  await world.registry.promote(back)
  assert.equal(world.registry.locks.keepsOut(back.deviceId), false)
  assert.equal(world.registry.admit(first).admitted, false)
})

test('of a certificate whose issuer was not kept the lock is taken to be on it, also after a restart', async () => {
  const world = await createWorld()
  const unknown = await joinByToken(world, 'key 1')
  const known = await joinSigned(world, 'key 2', newKey)
  await world.registry.addLock(order, by).done
  for (const registry of [world.registry, await world.open()]) {
    assert.deepEqual([registry.admit(unknown).admitted, registry.admit(known).admitted], [false, true])
  }
})

test('mode revoke ends for good who has a certificate of the issuer', async () => {
  const world = await createWorld()
  const first = await joinSigned(world, 'key 1', oldKey)
  world.registry.addLock({ ...order, mode: 'revoke' }, by)
  await world.registry.removeLock(order.lock, by)
  assert.deepEqual(world.registry.admit(first), { admitted: false, reason: 'revoked' })
})

test('an issuer is named by its key identifier, and by nothing else', () => {
  assert.deepEqual(parseLockTarget(`issuer:${oldKey}`), { issuer: oldKey })
  for (const wrong of ['', 'AA', 'a'.repeat(39), 'a'.repeat(64), 'g'.repeat(40)]) {
    assert.throws(() => parseLockTarget(`issuer:${wrong}`), { code: 'INVALID_ID' })
  }
})

/** A join whose certificate says who signed it. */
async function joinSigned(world: World, key: string, issuer: typeof oldKey, device?: string): Promise<DeviceIdentity> {
  const token = `for-${key.replace(' ', '-')}`
  const bound = device === undefined ? {} : { device: parseDeviceId(device) }
  await world.registry.createToken(newToken(world, token, bound), by)
  const attestation = attested(key, { token })
  const plan = issued(world.registry.planEnrollment(attestation, credential(token)))
  const certificate = { ...certificateFor(world, attestation.spkiHash), issuer }
  await world.registry.enroll(plan, certificate, {})
  return identityOf(plan.device, certificate)
}
