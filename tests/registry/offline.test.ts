import assert from 'node:assert/strict'
import test from 'node:test'
import type { DeviceIdentity } from '#protocol'
import type { OfflineTerms } from '#registry'
import {
  attested,
  by,
  certificateFor,
  createWorld,
  hash,
  hour,
  identityOf,
  issued,
  join,
  joinByToken,
  register,
  renew,
  type World,
} from './world.js'

const day = 24 * hour
const offline: OfflineTerms = { mostMilliseconds: 30 * day, recover: 'quarantine' }

/** Where quarantine leaves a device connected. */
async function createPlace(): Promise<World> {
  const world = await createWorld()
  world.registry.locks.judgeBy({ rolesOf: () => [], hasQuarantine: () => true })
  return world
}

/** A device with its key in a file, away since its first certificate. */
async function away(world: World, time: number): Promise<DeviceIdentity> {
  const identity = await joinByToken(world, 'key 1')
  await world.registry.promote(identity)
  world.clock.now += time
  return identity
}

async function comeBack(world: World, shown: DeviceIdentity, key: string, terms = offline): Promise<DeviceIdentity> {
  const plan = issued(world.registry.planRenewal(shown, { spkiHash: hash(key), offline: terms }))
  const certificate = certificateFor(world, hash(key), plan.tier)
  await world.registry.renew(plan, certificate, {})
  return identityOf(plan.device, certificate)
}

test('a certificate that is over opens nothing, and renews where that is tolerated', async () => {
  const world = await createPlace()
  const shown = await away(world, 5 * day)
  assert.deepEqual(world.registry.admit(shown), { admitted: false, reason: 'expired' })
  assert.throws(() => world.registry.planRenewal(shown, { spkiHash: hash('key 2') }), { code: 'CERTIFICATE_EXPIRED' })
  assert.equal(world.registry.planRenewal(shown, { spkiHash: hash('key 2'), offline }).kind, 'issue')
  world.clock.now += 26 * day + 1
  const tooLate = () => world.registry.planRenewal(shown, { spkiHash: hash('key 2'), offline })
  assert.throws(tooLate, { code: 'CERTIFICATE_EXPIRED' })
})

test('with a key in a file it comes back into quarantine, until an operator has looked', async () => {
  const world = await createPlace()
  const shown = await away(world, 5 * day)
  const back = await comeBack(world, shown, 'key 2')
  assert.ok(world.registry.locks.isQuarantined(back.deviceId))
  await world.registry.promote(back)
  assert.ok(world.registry.admit(back).admitted)
  const locks = world.registry.allLocks()
  assert.equal(locks.length, 1)
  for (const { id } of locks) await world.registry.removeLock(id, by)
  assert.ok(!world.registry.locks.isQuarantined(back.deviceId))
  const events = world.audit.records.map(({ event }) => event)
  assert.ok(events.indexOf('lock.add') < events.indexOf('device.renew'))
})

test('where the profile trusts, it comes back as it was', async () => {
  const world = await createPlace()
  const back = await comeBack(world, await away(world, 5 * day), 'key 2', { ...offline, recover: 'trust' })
  await world.registry.promote(back)
  assert.equal(world.registry.allLocks().length, 0)
  assert.ok(world.registry.admit(back).admitted)
})

test('a key in a TPM is where it was: no quarantine', async () => {
  const world = await createPlace()
  await register(world, 'pump-1', 'ek 1')
  const shown = await join(world, attested('key 1', { ek: 'ek 1' }))
  await world.registry.promote(shown)
  world.clock.now += 20 * day
  const back = await comeBack(world, shown, 'key 1')
  assert.equal(back.tier, 'tpm')
  assert.equal(world.registry.allLocks().length, 0)
})

test('once for each outage: the answer can be had again, another key has none', async () => {
  const world = await createPlace()
  const shown = await away(world, 5 * day)
  const back = await comeBack(world, shown, 'key 2')
  const again = world.registry.planRenewal(shown, { spkiHash: hash('key 2'), offline })
  assert.ok(again.kind === 'repeat' && again.certificate.fingerprint === back.fingerprint)
  const other = () => world.registry.planRenewal(shown, { spkiHash: hash('key 3'), offline })
  assert.throws(other, { code: 'CERTIFICATE_EXPIRED' })
})

test('only with the last of its line, or for the key of that: an older copy of the disk is no way in', async () => {
  const world = await createPlace()
  const first = await joinByToken(world, 'key 1')
  await world.registry.promote(first)
  world.clock.now += 13 * hour
  const last = await renew(world, first, 'key 2')
  world.clock.now += 5 * day
  const stale = () => world.registry.planRenewal(first, { spkiHash: hash('key 3'), offline })
  assert.throws(stale, { code: 'CERTIFICATE_EXPIRED' })
  assert.equal(world.registry.planRenewal(first, { spkiHash: hash('key 2'), offline }).kind, 'issue')
  assert.equal(world.registry.planRenewal(last, { spkiHash: hash('key 3'), offline }).kind, 'issue')
})

test('case 97: a pending certificate that was never used renews after its end, also when the answer is lost', async () => {
  const world = await createPlace()
  const first = await joinByToken(world, 'key 1')
  await world.registry.promote(first)
  const pending = await renew(world, first, 'key 2')
  world.clock.now += 3 * day
  const back = await comeBack(world, pending, 'key 3')
  const again = world.registry.planRenewal(pending, { spkiHash: hash('key 3'), offline })
  assert.ok(again.kind === 'repeat' && again.certificate.fingerprint === back.fingerprint)
})

test('two keys that asked before the outage are a sign of a copy: neither comes back by itself', async () => {
  const world = await createPlace()
  const shown = await joinByToken(world, 'key 1')
  await world.registry.promote(shown)
  await renew(world, shown, 'key a')
  const last = await renew(world, shown, 'key b')
  world.clock.now += 5 * day
  const back = () => world.registry.planRenewal(last, { spkiHash: hash('key c'), offline })
  assert.throws(back, { code: 'CERTIFICATE_EXPIRED' })
})

test('a copy gives itself away also when its certificate is over', async () => {
  const world = await createPlace()
  const first = await joinByToken(world, 'key 1')
  await world.registry.promote(first)
  await world.registry.promote(await renew(world, first, 'key 2'))
  world.clock.now += 3 * day
  assert.equal(world.registry.planRenewal(first, { spkiHash: hash('key 9'), offline }).kind, 'clone')
})

test('where the policy leaves nothing to a device in quarantine, it is kept out until an operator has looked', async () => {
  const world = await createWorld()
  const back = await comeBack(world, await away(world, 5 * day), 'key 2')
  const admission = world.registry.admit(back)
  assert.ok(!admission.admitted && admission.reason === 'locked')
  for (const { id } of world.registry.allLocks()) await world.registry.removeLock(id, by)
  assert.ok(world.registry.admit(back).admitted)
})
