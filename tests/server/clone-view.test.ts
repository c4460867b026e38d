import assert from 'node:assert/strict'
import test from 'node:test'
import { viewDevice } from '../../server/http/views.js'
import { Sight } from '../../server/inventory/sight.js'
import { createWorld, hash, joinByToken, renew } from '../registry/world.js'

test('an operator sees of a device that a second copy of it was found, when and from where', async () => {
  const { registry, ...world } = await createWorld()
  const before = await joinByToken({ registry, ...world }, 'key 1')
  await registry.promote(before)
  await registry.promote(await renew({ registry, ...world }, before, 'key 2'))
  const plan = registry.planRenewal(before, { spkiHash: hash('key of the copy') })
  assert.ok(plan.kind === 'clone')
  await assert.rejects(registry.lockClone(plan, '192.0.2.66:40000'), { code: 'CLONE_SUSPECTED' })
  const device = registry.device(before.deviceId)
  assert.ok(device)
  const sources = { registry, isOnline: () => false, heardAt: () => undefined, now: world.now }
  const [instance] = viewDevice(new Sight(device, sources), registry).instances
  const { sign, peer, presentedSerial } = instance?.clone ?? {}
  assert.deepEqual([sign, peer, presentedSerial], ['previous', '192.0.2.66:40000', before.serial])
})
