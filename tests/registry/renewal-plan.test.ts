import assert from 'node:assert/strict'
import test from 'node:test'
import type { DeviceIdentity } from '#protocol'
import { parseDeviceId } from '#protocol'
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

/** A device whose first certificate is in use. */
async function inUse(world: World): Promise<DeviceIdentity> {
  const identity = await joinByToken(world, 'key 1')
  await world.registry.promote(identity)
  return identity
}

/** …and which has renewed, so that the first certificate is the previous one. */
async function renewed(world: World): Promise<{ readonly previous: DeviceIdentity; readonly current: DeviceIdentity }> {
  const previous = await inUse(world)
  const current = await renew(world, previous, 'key 2')
  await world.registry.promote(current)
  return { previous, current }
}

test('current, nothing pending: a new certificate waits beside it', async () => {
  const world = await createWorld()
  const current = await inUse(world)
  const pending = await renew(world, current, 'key 2')
  assert.equal(pending.deviceId, current.deviceId)
  assert.equal(world.registry.certificate(current.fingerprint)?.state, 'current')
  assert.equal(world.registry.certificate(pending.fingerprint)?.state, 'pending')
})

test('current, pending with the same key: the same certificate, until half of its life is gone', async () => {
  const world = await createWorld()
  const current = await inUse(world)
  world.clock.now += 11 * hour
  const pending = await renew(world, current, 'key 2')
  const repeat = world.registry.planRenewal(current, { spkiHash: hash('key 2') })
  assert.equal(repeat.kind, 'repeat')
  assert.equal(repeat.certificate.fingerprint, pending.fingerprint)
  world.clock.now += 12 * hour
  const another = await renew(world, current, 'key 2')
  assert.deepEqual(world.registry.admit(pending), { admitted: false, reason: 'superseded' })
  assert.ok(world.registry.admit(another).admitted)
})

test('current, pending with another key: the unused one is superseded', async () => {
  const world = await createWorld()
  const current = await inUse(world)
  const lost = await renew(world, current, 'key 2')
  const pending = await renew(world, current, 'key 3')
  assert.deepEqual(world.registry.admit(lost), { admitted: false, reason: 'superseded' })
  assert.ok(world.registry.admit(pending).admitted)
})

test('pending: showing it is its first use, and then it renews as the current one', async () => {
  const world = await createWorld()
  const first = await inUse(world)
  const second = await renew(world, first, 'key 2')
  const third = await renew(world, second, 'key 3')
  assert.equal(world.registry.certificate(first.fingerprint)?.state, 'previous')
  assert.equal(world.registry.certificate(second.fingerprint)?.state, 'current')
  assert.equal(world.registry.certificate(third.fingerprint)?.state, 'pending')
  assert.deepEqual(
    world.audit.records.slice(-2).map(({ event }) => event),
    ['device.promote', 'device.renew'],
  )
})

test('previous with the current key: the file was lost, and the current certificate comes again', async () => {
  const world = await createWorld()
  const { previous, current } = await renewed(world)
  const plan = world.registry.planRenewal(previous, { spkiHash: hash('key 2') })
  assert.equal(plan.kind, 'repeat')
  assert.equal(plan.certificate.fingerprint, current.fingerprint)
  world.clock.now += 13 * hour
  assert.equal(world.registry.planRenewal(previous, { spkiHash: hash('key 2') }).kind, 'issue')
})

test('previous with any other key: a second copy of the machine', async () => {
  const world = await createWorld()
  const { previous } = await renewed(world)
  for (const key of ['key 1', 'key 9']) {
    const plan = world.registry.planRenewal(previous, { spkiHash: hash(key) })
    assert.ok(plan.kind === 'clone' && plan.sign === 'previous')
  }
})

test('previous with the current key, while another key waits: what is in use, and nothing is taken away', async () => {
  const world = await createWorld()
  const { previous, current } = await renewed(world)
  world.clock.now += 13 * hour
  const pending = await renew(world, current, 'key 3')
  const plan = world.registry.planRenewal(previous, { spkiHash: hash('key 2') })
  assert.ok(plan.kind === 'repeat' && plan.certificate.fingerprint === current.fingerprint)
  assert.ok(world.registry.admit(pending).admitted)
})

test('a pending certificate that was never used is no more when its time is over, and another key displaces nothing', async () => {
  const world = await createWorld()
  const current = await inUse(world)
  const short = issued(world.registry.planRenewal(current, { spkiHash: hash('key 2') }))
  const certificate = { ...certificateFor(world, hash('key 2')), notAfter: world.clock.now + hour }
  await world.registry.renew(short, certificate, {})
  world.clock.now += 2 * hour
  const plan = issued(world.registry.planRenewal(current, { spkiHash: hash('key 3') }))
  assert.equal(plan.displaces, undefined)
})

test('superseded, unknown, expired and revoked: refused as what they are', async () => {
  const world = await createWorld()
  const { previous, current } = await renewed(world)
  const next = await renew(world, current, 'key 3')
  await world.registry.promote(next)
  const plan = (identity: DeviceIdentity) => world.registry.planRenewal(identity, { spkiHash: hash('key 4') })
  assert.throws(() => plan(previous), { code: 'SUPERSEDED' })
  const forged = identityOf(next.deviceId, { ...certificateFor(world, next.spkiHash), serial: next.serial })
  assert.throws(() => plan(forged), { code: 'UNKNOWN_CERTIFICATE' })
  assert.throws(() => plan({ ...next, deviceId: parseDeviceId('another') }), { code: 'UNKNOWN_CERTIFICATE' })
  world.clock.now += 24 * hour
  assert.throws(() => plan(next), { code: 'CERTIFICATE_EXPIRED' })
  world.clock.now -= 24 * hour
  await world.registry.revokeDevice(next.deviceId, { ...by, reason: 'unspecified' }).done
  assert.throws(() => plan(next), { code: 'DEVICE_REVOKED' })
})

test('a key in a TPM renews for itself only, and what PCRs once said is not said again', async () => {
  const world = await createWorld()
  await register(world, 'pump-1', 'ek 1')
  const identity = await join(world, attested('key 1', { ek: 'ek 1', tier: 'tpm+pcr' }))
  await world.registry.promote(identity)
  assert.throws(() => world.registry.planRenewal(identity, { spkiHash: hash('software key') }), {
    code: 'KEY_NOT_CERTIFIED',
  })
  assert.equal(issued(world.registry.planRenewal(identity, { spkiHash: hash('key 1') })).tier, 'tpm')
})

test('of two renewals at once one stands, and the other is told to look again', async () => {
  const world = await createWorld()
  const current = await inUse(world)
  const plan = issued(world.registry.planRenewal(current, { spkiHash: hash('key 2') }))
  const first = world.registry.renew(plan, certificateFor(world, plan.asked.spkiHash), {})
  await assert.rejects(world.registry.renew(plan, certificateFor(world, plan.asked.spkiHash), {}), { code: 'CONFLICT' })
  await first
  assert.equal(world.registry.planRenewal(current, { spkiHash: hash('key 2') }).kind, 'repeat')
})

test('a long line of renewals keeps only its end', async () => {
  const world = await createWorld()
  let identity = await inUse(world)
  const first = identity
  for (let at = 0; at < 40; at++) {
    identity = await renew(world, identity, `key ${at}`)
    await world.registry.promote(identity)
  }
  const [instance] = world.registry.device(identity.deviceId)?.instances ?? []
  assert.ok(instance !== undefined && world.registry.certificatesOf(instance).length <= 11)
  assert.deepEqual(world.registry.admit(first), { admitted: false, reason: 'unknown_certificate' })
})
