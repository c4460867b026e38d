import assert from 'node:assert/strict'
import test from 'node:test'
import type { DeviceIdentity, InstanceId } from '#protocol'
import { Registry, type RenewalPlan } from '#registry'
import { createMemoryStore } from '#store'
import {
  attested,
  by,
  createWorld,
  credential,
  hash,
  hour,
  join,
  joinByToken,
  newToken,
  renew,
  type World,
} from './world.js'

/** A device that has renewed, and a copy of its disk from before. */
async function copied(world: World) {
  const before = await joinByToken(world, 'key 1')
  await world.registry.promote(before)
  const now = await renew(world, before, 'key 2')
  await world.registry.promote(now)
  return { before, now }
}

function instanceOf(world: World, { fingerprint }: DeviceIdentity): InstanceId {
  const certificate = world.registry.certificate(fingerprint)
  assert.ok(certificate)
  return certificate.instance
}

function cloneOf(plan: RenewalPlan) {
  assert.ok(plan.kind === 'clone')
  return plan
}

/** As the CA does it for a renewal that comes to a clone. */
function lockOut(world: World, shown: DeviceIdentity, key: string): Promise<never> {
  const plan = cloneOf(world.registry.planRenewal(shown, { spkiHash: hash(key) }))
  return world.registry.lockClone(plan, '192.0.2.66:40000')
}

test('case 80: a copy that renews has its enrollment locked before it is answered, and is on record', async () => {
  const world = await createWorld()
  const { before, now } = await copied(world)
  await assert.rejects(lockOut(world, before, 'key of the copy'), { code: 'CLONE_SUSPECTED' })
  assert.ok(world.registry.locks.keepsOut(now.deviceId))
  for (const shown of [before, now]) {
    const admission = world.registry.admit(shown)
    assert.ok(!admission.admitted && admission.reason === 'locked')
    assert.throws(() => world.registry.planRenewal(shown, { spkiHash: hash('key 7') }), { code: /LOCKED|CLONE/ })
  }
  const [found, lock] = world.audit.records.slice(-2)
  assert.ok(found?.event === 'device.clone' && found.sign === 'previous' && found.peer === '192.0.2.66:40000')
  assert.ok(lock?.event === 'lock.add' && lock.lock === found.lock && lock.target === `instance:${found.instance}`)
  assert.equal(world.registry.instance(found.instance)?.clone?.lock, found.lock)
})

test('case 80: siblings that came with the same token go on', async () => {
  const world = await createWorld()
  await world.registry.createToken(newToken(world, 'golden', { uses: 5 }), by)
  const [copy, sibling] = await Promise.all(
    ['key a', 'key b'].map((key) => join(world, attested(key, { token: 'golden' }), credential('golden'))),
  )
  assert.ok(copy && sibling)
  for (const one of [copy, sibling]) await world.registry.promote(one)
  await world.registry.promote(await renew(world, copy, 'key c'))
  await assert.rejects(lockOut(world, copy, 'key d'), { code: 'CLONE_SUSPECTED' })
  assert.ok(world.registry.admit(sibling).admitted)
  assert.ok((await renew(world, sibling, 'key e')).deviceId === sibling.deviceId)
})

test('case 80: two copies that ask by turns are found at the second change of keys within a day', async () => {
  const world = await createWorld()
  const shown = await joinByToken(world, 'key 1')
  await world.registry.promote(shown)
  await renew(world, shown, 'key a')
  await renew(world, shown, 'key b')
  const plan = cloneOf(world.registry.planRenewal(shown, { spkiHash: hash('key a') }))
  assert.equal(plan.sign, 'keys')
  assert.equal(world.registry.planRenewal(shown, { spkiHash: hash('key b') }).kind, 'repeat')
})

test('a key that is lost once a day is no copy', async () => {
  const world = await createWorld()
  let shown = await joinByToken(world, 'key 1')
  await world.registry.promote(shown)
  for (const day of [1, 2, 3]) {
    world.clock.now += 13 * hour
    await renew(world, shown, `lost on day ${day}`)
    shown = await renew(world, shown, `kept on day ${day}`)
    await world.registry.promote(shown)
    world.clock.now += 12 * hour
    shown = await renew(world, shown, `evening of day ${day}`)
    await world.registry.promote(shown)
  }
  assert.ok(world.registry.admit(shown).admitted)
})

test('how often a key was changed, and that a copy was found, comes back from the log and from the store', async () => {
  const world = await createWorld()
  const shown = await joinByToken(world, 'key 1')
  await world.registry.promote(shown)
  await renew(world, shown, 'key a')
  await renew(world, shown, 'key b')
  const { displaced } = world.registry.instance(instanceOf(world, shown)) ?? {}
  await assert.rejects(lockOut(world, shown, 'key c'), { code: 'CLONE_SUSPECTED' })
  await world.registry.settled()
  const { store, audit, now, replay } = world
  const again = [store, createMemoryStore()].map((from) => Registry.open({ store: from, audit, now, replay }))
  for (const registry of await Promise.all(again)) {
    const instance = registry.instance(instanceOf(world, shown))
    assert.deepEqual(instance?.displaced, displaced)
    assert.equal(instance?.clone?.sign, 'keys')
    assert.ok(!registry.admit(shown).admitted)
  }
  assert.ok(displaced !== undefined)
})

test('the device is back with a new token, and its copy is not', async () => {
  const world = await createWorld()
  const { before, now } = await copied(world)
  await assert.rejects(lockOut(world, before, 'key of the copy'), { code: 'CLONE_SUSPECTED' })
  const labels = world.registry.device(now.deviceId)?.labels ?? {}
  await world.registry.createToken(newToken(world, 'back', { device: now.deviceId, labels }), by)
  const back = await join(world, attested('key 9', { token: 'back' }), credential('back'))
  assert.equal(back.deviceId, now.deviceId)
  await world.registry.promote(back)
  assert.ok(!world.registry.locks.keepsOut(back.deviceId))
  for (const old of [before, now]) assert.ok(!world.registry.admit(old).admitted)
})
