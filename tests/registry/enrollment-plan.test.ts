import assert from 'node:assert/strict'
import test from 'node:test'
import { attested, createWorld, credential, joinByToken } from './world.js'

test('a token makes a device that is named after its key and carries the token’s labels', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  assert.match(identity.deviceId, /^dev-[0-9a-f]{12}$/)
  const device = world.registry.device(identity.deviceId)
  assert.equal(device?.state, 'active')
  assert.deepEqual(device.labels, { site: 'oslo' })
  assert.equal(world.registry.tokens()[0]?.uses.spent, 1)
})

test('a token that names a device makes that device and no other', async () => {
  const world = await createWorld()
  assert.equal((await joinByToken(world, 'key 1', 'pump-1')).deviceId, 'pump-1')
})

test('the same token and key get the same certificate again, and the token is spent once', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  const plan = world.registry.planEnrollment(attested('key 1', { token: 'for-key-1' }), credential('for-key-1'))
  assert.equal(plan.kind, 'repeat')
  assert.equal(plan.certificate.fingerprint, identity.fingerprint)
  assert.equal(world.registry.tokens()[0]?.uses.spent, 1)
})
