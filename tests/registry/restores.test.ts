import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDeviceId, parseLockId } from '#protocol'
import { createMemoryStore } from '#store'
import { by, createWorld, joinByToken } from './world.js'

test('what changes behind a restore has its place behind all that the lost service can have done', async () => {
  const world = await createWorld()
  const device = await joinByToken(world, 'key')
  const before = world.registry.revokeDevice(device.deviceId, { reason: 'superseded', ...by })
  await before.done
  assert.equal(world.registry.restores, 0)
  for (const times of [1, 2]) {
    await world.registry.recordRestore({ treeSize: 7, at: 0 })
    assert.equal(world.registry.restores, times)
    const target = { device: parseDeviceId('d1') }
    const order = { lock: parseLockId(`lock-${times}`), target, mode: 'lock', reason: 'a test' } as const
    const { epoch, done } = world.registry.addLock(order, by)
    await done
    assert.ok(epoch > before.epoch + 2 ** 32 * (times - 1) && epoch > 2 ** 32 * times)
  }
  assert.equal((await world.open({ store: createMemoryStore() })).restores, 2)
})
