import assert from 'node:assert/strict'
import test from 'node:test'
import { attributesOf } from '../../server/attributes.js'
import { attested, by, createWorld, credential, join, joinByToken, newToken } from '../registry/world.js'

test('a device has the tier of the machine that uses its id, and none once it is revoked', async () => {
  const world = await createWorld()
  const { registry } = world
  const first = await joinByToken(world, 'key 1', 'd1')
  const tier = () => attributesOf(registry, first.deviceId)?.tier
  assert.equal(tier(), 'token')
  await registry.promote(first)

  await registry.createToken(newToken(world, 'again', { device: first.deviceId }), by)
  const second = await join(world, attested('key 2', { ek: 'ek 2' }), credential('again'))
  assert.equal(tier(), 'token', 'what was never used counts for nothing')
  await registry.promote(second)
  assert.equal(tier(), 'tpm')
  assert.equal(registry.admit(first).admitted, false, 'so no session of another tier can begin')

  await registry.revokeDevice(first.deviceId, { ...by, reason: 'unspecified' }).done
  assert.equal(tier(), undefined)
})
