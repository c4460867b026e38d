import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDeviceId, parseLockId, type Tier } from '#protocol'
import type { LockChange, LockOrder } from '#registry'
import { attested, by, createWorld, credential, join, joinByToken, newToken, renew, type World } from './world.js'

const order = (target: LockOrder['target'], over: Partial<LockOrder> = {}): LockOrder => ({
  ...{ lock: parseLockId('one'), target, mode: 'quarantine', reason: 'a test' },
  ...over,
})

test('who is put into quarantine and leaves it is told to every broker and written down, and stays admitted', async () => {
  const { world, changes, events } = await openWorld()
  const device = await joinByToken(world, 'key 1', 'pump-1')
  const { deviceId } = device
  world.registry.addLock(order({ labels: { site: 'oslo' } }), by)
  const { locks } = world.registry
  assert.ok(world.registry.admit(device).admitted)
  assert.deepEqual([locks.isQuarantined(deviceId), locks.keepsOut(deviceId)], [true, false])
  await world.registry.labelDevice(deviceId, { site: 'rome' }, by)
  assert.equal(locks.isQuarantined(deviceId), false)
  const lists = changes.slice(-2).map(({ quarantined, released, locked, restored }) => {
    return [quarantined, released, locked, restored]
  })
  assert.deepEqual(lists, [
    [[deviceId], [], [], []],
    [[], [deviceId], [], []],
  ])
  const [add, ...rest] = events().slice(-4)
  assert.equal(add?.event, 'lock.add')
  assert.deepEqual(
    rest.map(({ event }) => event),
    ['device.quarantine', 'device.label', 'device.release'],
  )
  assert.ok(rest[0]?.event === 'device.quarantine' && rest[0].lock === 'one' && rest[0].device === deviceId)
})

test('on a full disk it is recorded too who enters quarantine and who leaves it', async () => {
  const { world, events } = await openWorld()
  await joinByToken(world, 'key 1', 'pump-1')
  world.audit.setFull(true)
  await world.registry.addLock(order({ labels: { site: 'oslo' } }), by).recorded
  await world.registry.removeLock(parseLockId('one'), by)
  const names = events().map(({ event }) => event)
  assert.deepEqual(names.slice(-4), ['lock.add', 'device.quarantine', 'lock.remove', 'device.release'])
})

test('the stricter of two locks counts, and what is left of it when that one is removed', async () => {
  const { world, changes } = await openWorld()
  const device = await joinByToken(world, 'key 1', 'pump-1')
  const { deviceId } = device
  world.registry.addLock(order({ labels: { site: 'oslo' } }), by)
  world.registry.addLock(order({ device: deviceId }, { lock: parseLockId('two'), mode: 'lock' }), by)
  assert.equal(world.registry.admit(device).admitted, false)
  assert.deepEqual([changes.at(-1)?.locked, changes.at(-1)?.released], [[deviceId], []])
  await world.registry.removeLock(parseLockId('two'), by)
  assert.ok(world.registry.admit(device).admitted)
  assert.deepEqual([changes.at(-1)?.restored, changes.at(-1)?.quarantined], [[deviceId], [deviceId]])
  await world.registry.removeLock(parseLockId('one'), by)
  assert.deepEqual([changes.at(-1)?.restored, changes.at(-1)?.released], [[], [deviceId]])
})

test('where the policy in force names no role for quarantine, before one is known too, it keeps out', async () => {
  const { world, judge, changes } = await openWorld()
  const device = await joinByToken(world, 'key 1', 'pump-1')
  await world.registry.addLock(order({ device: device.deviceId }), by).done
  judge(false)
  assert.deepEqual([world.registry.admit(device).admitted, changes.at(-1)?.locked], [false, [device.deviceId]])
  judge(true)
  assert.deepEqual([world.registry.admit(device).admitted, changes.at(-1)?.quarantined], [true, [device.deviceId]])
  const reopened = await world.open()
  assert.equal(reopened.admit(device).admitted, false)
  reopened.locks.judgeBy({ rolesOf: () => [], hasQuarantine: () => true })
  assert.deepEqual([reopened.admit(device).admitted, reopened.locks.isQuarantined(device.deviceId)], [true, true])
})

test('in quarantine a certificate is renewed, and nobody joins: otherwise a new instance would be the way out', async () => {
  const { world } = await openWorld()
  await world.registry.createToken(newToken(world, 'tpm', { uses: 2 }), by)
  const device = await join(world, attested('key 1', { ek: 'a' }), credential('tpm'))
  await world.registry.promote(device)
  const [instance] = world.registry.device(device.deviceId)?.instances ?? []
  assert.ok(instance)
  world.registry.addLock(order({ instance }), by)
  assert.throws(() => world.registry.planEnrollment(attested('key 2', { ek: 'a' })), { code: 'LOCKED' })
  const renewed = await renew(world, device, 'key 1')
  await world.registry.promote(renewed)
  assert.ok(world.registry.locks.isQuarantined(device.deviceId))
})

test('who is locked by a role that goes with a tier does not get out by joining with another one', async () => {
  const { world } = await openWorld()
  await world.registry.createToken(newToken(world, 'tpm', { uses: 2 }), by)
  await world.registry.promote(await join(world, attested('key 1', { ek: 'a' }), credential('tpm')))
  const rolesOf = ({ tier }: { readonly tier: Tier }) => (tier === 'tpm' ? ['plain'] : [])
  world.registry.locks.judgeBy({ rolesOf, hasQuarantine: () => true })
  world.registry.addLock(order({ role: 'plain' }), by)
  const better = attested('key 2', { ek: 'a', tier: 'tpm+pcr' })
  assert.throws(() => world.registry.planEnrollment(better), { code: 'LOCKED' })
  await world.registry.removeLock(parseLockId('one'), by)
  assert.equal(world.registry.planEnrollment(better).kind, 'issue')
})

test('nobody is put into quarantine by address', async () => {
  const { world } = await openWorld()
  assert.throws(() => world.registry.addLock(order({ addresses: '192.0.2.0/24' }), by), { code: 'LOCK_INVALID' })
  world.registry.addLock(order({ device: parseDeviceId('unknown') }), by)
})

async function openWorld() {
  const world: World = await createWorld()
  const changes: LockChange[] = []
  world.registry.locks.follow('test', (change, { applied }) => {
    changes.push(change)
    applied(change.revision, { sessions: 0, purged: 0 })
  })
  const judge = (has: boolean) => world.registry.locks.judgeBy({ rolesOf: () => [], hasQuarantine: () => has })
  judge(true)
  return { world, changes, judge, events: () => world.audit.records }
}
