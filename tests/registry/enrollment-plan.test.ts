import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDeviceId, parseProfileName } from '#protocol'
import {
  attested,
  by,
  certificateFor,
  createWorld,
  credential,
  hash,
  hour,
  issued,
  join,
  joinByToken,
  newToken,
  profile,
  register,
  renew,
} from './world.js'

test('a token makes a device that is named after its key and carries the token’s labels', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  assert.match(identity.deviceId, /^dev-[0-9a-f]{12}$/)
  const device = world.registry.device(identity.deviceId)
  assert.equal(device?.state, 'active')
  assert.deepEqual(device.labels, { site: 'oslo' })
  assert.equal(world.registry.tokens()[0]?.uses.spent, 1)
})

test('a token that names a device makes that device', async () => {
  const world = await createWorld()
  assert.equal((await joinByToken(world, 'key 1', 'pump-1')).deviceId, 'pump-1')
})

test('the same token and key get the same certificate again, and the token is spent once', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  world.clock.now += 2 * hour // the token has expired meanwhile: what it gave is still this key's
  const plan = world.registry.planEnrollment(attested('key 1', { token: 'for-key-1' }), credential('for-key-1'))
  assert.equal(plan.kind, 'repeat')
  assert.equal(plan.certificate.fingerprint, identity.fingerprint)
  assert.equal(world.registry.tokens()[0]?.uses.spent, 1)
})

test('past half of the certificate’s life the same key gets a new serial, and the token is not spent again', async () => {
  const world = await createWorld()
  await world.registry.createToken(newToken(world, 'long', { notAfter: world.clock.now + 24 * hour }), by)
  const again = () => join(world, attested('key 1', { token: 'long' }), credential('long'))
  const first = await again()
  world.clock.now += 13 * hour
  const second = await again()
  assert.equal(second.deviceId, first.deviceId)
  assert.equal(world.registry.tokens()[0]?.uses.spent, 1)
  assert.deepEqual(world.registry.admit(first), { admitted: false, reason: 'superseded' })
  assert.ok(world.registry.admit(second).admitted)
})

test('another key on a spent token is refused, and so is the same key after its certificate was used', async () => {
  const world = await createWorld()
  const identity = await joinByToken(world, 'key 1')
  const plan = (key: string) =>
    world.registry.planEnrollment(attested(key, { token: 'for-key-1' }), credential('for-key-1'))
  assert.throws(() => plan('key 2'), { code: 'TOKEN_SPENT' })
  await world.registry.promote(identity)
  assert.throws(() => plan('key 1'), { code: 'TOKEN_SPENT' })
})

test('a join never repeats what a renewal got for another key', async () => {
  const world = await createWorld()
  const byToken = await joinByToken(world, 'key 1')
  await register(world, 'pump-1', 'a')
  const byHardware = await join(world, attested('key 3', { ek: 'a', tier: 'token' }))
  for (const identity of [byToken, byHardware]) {
    await world.registry.promote(identity)
    await renew(world, identity, 'key 2')
  }
  assert.throws(
    () => world.registry.planEnrollment(attested('key 1', { token: 'for-key-1' }), credential('for-key-1')),
    { code: 'TOKEN_SPENT' },
  )
  assert.equal(world.registry.planEnrollment(attested('key 3', { ek: 'a', tier: 'token' })).kind, 'issue')
})

test('a join that proves another tier than the one before gets a certificate that says so', async () => {
  const world = await createWorld()
  await register(world, 'pump-1', 'a')
  await join(world, attested('key 1', { ek: 'a', tier: 'tpm+pcr' }))
  assert.equal(world.registry.planEnrollment(attested('key 1', { ek: 'a', tier: 'tpm+pcr' })).kind, 'repeat')
  assert.equal(world.registry.planEnrollment(attested('key 1', { ek: 'a', tier: 'tpm' })).kind, 'issue')
})

test('a token that is unknown, expired, revoked, of another profile or with another secret is refused as what it is', async () => {
  const world = await createWorld()
  const { registry } = world
  for (const id of ['old', 'gone', 'good']) await registry.createToken(newToken(world, id), by)
  await registry.revokeToken(credential('gone').id, by)
  const plan = (token: string, proven = credential(token), over = {}) =>
    registry.planEnrollment({ ...attested('key', { token }), ...over }, proven)

  assert.throws(() => plan('unheard-of'), { code: 'TOKEN_UNKNOWN' })
  assert.throws(() => plan('gone'), { code: 'TOKEN_REVOKED' })
  assert.throws(() => plan('good', { ...credential('good'), secretHash: hash('guess') }), { code: 'TOKEN_MISMATCH' })
  assert.throws(() => plan('good', credential('good'), { profile: parseProfileName('other') }), {
    code: 'PROFILE_MISMATCH',
  })
  assert.throws(() => registry.planEnrollment(attested('key', { token: 'good' })), { code: 'NOT_REGISTERED' })
  world.clock.now += hour
  assert.throws(() => plan('old'), { code: 'TOKEN_EXPIRED' })
})

test('a token for a revoked device opens nothing', async () => {
  const world = await createWorld()
  await world.registry.createToken(newToken(world, 'again', { device: parseDeviceId('pump-1') }), by)
  const { deviceId } = await joinByToken(world, 'key 1', 'pump-1')
  await world.registry.revokeDevice(deviceId, { ...by, reason: 'keyCompromise' }).done
  assert.throws(() => world.registry.planEnrollment(attested('key 2', { token: 'again' }), credential('again')), {
    code: 'DEVICE_REVOKED',
  })
})

test('of two joins that race for a one-use token one wins, and the loser’s certificate opens nothing', async () => {
  const world = await createWorld()
  await world.registry.createToken(newToken(world, 'one'), by)
  const plans = ['key 1', 'key 2'].map((key) =>
    issued(world.registry.planEnrollment(attested(key, { token: 'one' }), credential('one'))),
  )
  const certificates = plans.map((plan) => certificateFor(world, plan.attestation.spkiHash))
  const results = await Promise.allSettled(
    plans.map((plan, at) => world.registry.enroll(plan, certificates[at] ?? assert.fail(), {})),
  )
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  )
  assert.equal(results[1]?.status === 'rejected' && (results[1].reason as { code: string }).code, 'TOKEN_SPENT')
  assert.equal(world.registry.certificate(certificates[1]?.fingerprint ?? assert.fail()), undefined)
})

test('of two joins with the same key at once one certificate stands at the end', async () => {
  const world = await createWorld()
  await world.registry.createToken(newToken(world, 'one'), by)
  const attestation = attested('key 1', { token: 'one' })
  const plan = issued(world.registry.planEnrollment(attestation, credential('one')))
  const first = world.registry.enroll(plan, certificateFor(world, plan.attestation.spkiHash), {})
  await assert.rejects(world.registry.enroll(plan, certificateFor(world, plan.attestation.spkiHash), {}), {
    code: 'CONFLICT',
  })
  await first
  assert.equal(world.registry.planEnrollment(attestation, credential('one')).kind, 'repeat')
})

test('a registered EK is its device, with the operator’s labels and without a token', async () => {
  const world = await createWorld()
  await register(world, 'pump-1', 'ek 1')
  const identity = await join(world, attested('key 1', { ek: 'ek 1' }))
  assert.equal(identity.deviceId, 'pump-1')
  assert.deepEqual(world.registry.device(identity.deviceId)?.labels, { site: 'bergen' })
})

test('a genuine TPM that nobody named is not ours', async () => {
  const world = await createWorld()
  assert.throws(() => world.registry.planEnrollment(attested('key 1', { ek: 'ek 1' })), { code: 'NOT_REGISTERED' })
})

test('a TPM without a vouching chain needs registration: a token is not enough', async () => {
  const world = await createWorld()
  await world.registry.createToken(newToken(world, 'one'), by)
  const unvouched = attested('key 1', { ek: 'ek 1', tier: 'tpm-unvouched' })
  assert.throws(() => world.registry.planEnrollment(unvouched, credential('one')), { code: 'NOT_REGISTERED' })
  await register(world, 'pump-1', 'ek 1')
  assert.equal((await join(world, unvouched)).deviceId, 'pump-1')
})

test('a token lets a TPM in, and from then on its EK does', async () => {
  const world = await createWorld()
  await world.registry.createToken(newToken(world, 'one'), by)
  const first = await join(world, attested('key 1', { ek: 'ek 1' }), credential('one'))
  assert.match(first.deviceId, /^tpm-[0-9a-f]{12}$/)
  const second = await join(world, attested('key 2', { ek: 'ek 1' }))
  assert.equal(second.deviceId, first.deviceId)
})

test('a join with a new key ends the old instance at its first use and not before', async () => {
  const world = await createWorld()
  await register(world, 'pump-1', 'ek 1')
  const first = await join(world, attested('key 1', { ek: 'ek 1' }))
  await world.registry.promote(first)
  const second = await join(world, attested('key 2', { ek: 'ek 1' }))
  assert.ok(world.registry.admit(first).admitted)
  await world.registry.promote(second)
  assert.deepEqual(world.registry.admit(first), { admitted: false, reason: 'superseded' })
  assert.ok(world.registry.admit(second).admitted)
})

test('the EK of a revoked device lets nothing in, with a token or without', async () => {
  const world = await createWorld()
  const device = await register(world, 'pump-1', 'ek 1')
  await world.registry.createToken(newToken(world, 'one'), by)
  await world.registry.revokeDevice(device, { ...by, reason: 'privilegeWithdrawn' }).done
  for (const token of [undefined, credential('one')]) {
    assert.throws(() => world.registry.planEnrollment(attested('key 1', { ek: 'ek 1' }), token), {
      code: 'DEVICE_REVOKED',
    })
  }
})

test('a derived id that another key has is refused and not shared', async () => {
  const world = await createWorld()
  const taken = parseDeviceId(`dev-${hash('key 1').slice(0, 12)}`)
  await register(world, taken, 'ek 1')
  await world.registry.createToken(newToken(world, 'one'), by)
  assert.throws(() => world.registry.planEnrollment(attested('key 1', { token: 'one' }), credential('one')), {
    code: 'ID_TAKEN',
  })
})

test('a token for a name that was free opens no device that another has made of it since, and opens its own again', async () => {
  const world = await createWorld()
  const [taken, own] = [parseDeviceId('pump-1'), parseDeviceId('pump-2')]
  for (const device of [taken, own]) await world.registry.createToken(newToken(world, device, { device, uses: 2 }), by)
  const anchor = { kind: 'ek', hash: hash('ek 1') } as const
  await world.registry.registerDevice({ device: taken, profile, labels: { site: 'rome' }, anchor }, by)
  const joining = (device: string) =>
    world.registry.planEnrollment(attested('key 2', { token: device }), credential(device))
  assert.throws(() => joining(taken), { code: 'ID_TAKEN' })
  await join(world, attested('key 2', { token: own }), credential(own))
  await world.registry.labelDevice(own, { site: 'rome' }, by)
  assert.equal(joining(own).kind, 'repeat', 'the same key is the same device, whatever its labels are now')
})

test('a machine that joins without end does not make the registry grow', async () => {
  const world = await createWorld()
  const device = await register(world, 'pump-1', 'ek 1')
  const used = await join(world, attested('key 0', { ek: 'ek 1' }))
  await world.registry.promote(used)
  for (let at = 1; at <= 30; at++) await join(world, attested(`key ${at}`, { ek: 'ek 1' }))
  assert.ok((world.registry.device(device)?.instances.length ?? 0) <= 8)
  assert.ok(world.registry.admit(used).admitted, 'the one in use is never forgotten')
})

test('tokens, devices and labels that mean nothing are refused', async () => {
  const world = await createWorld()
  const { registry } = world
  const create = (over: object) => registry.createToken(newToken(world, 'one', over), by)
  for (const uses of [0, -1, 1.5, Number.NaN, 1e9]) await assert.rejects(create({ uses }), { code: 'TOKEN_INVALID' })
  for (const ahead of [0, -hour, 8 * 24 * hour, Number.NaN]) {
    await assert.rejects(create({ notAfter: world.clock.now + ahead }), { code: 'TOKEN_INVALID' })
  }
  for (const value of ['+', '#', 'a/b', '', '..', '\0', '*', '${device.id}', 'x'.repeat(65)]) {
    await assert.rejects(create({ labels: { site: value } }), { code: 'LABEL_INVALID' })
    await assert.rejects(create({ labels: { [value]: 'x' } }), { code: 'LABEL_INVALID' })
  }
  await create({})
  await assert.rejects(create({}), { code: 'TOKEN_INVALID' })
  const device = await register(world, 'pump-1', 'ek 1')
  await assert.rejects(register(world, 'pump-1', 'ek 2'), { code: 'ID_TAKEN' })
  await assert.rejects(register(world, 'pump-2', 'ek 1'), { code: 'ANCHOR_TAKEN', message: /belongs to a device/ })
  await assert.rejects(registry.labelDevice(device, { site: 'a/b' }, by), { code: 'LABEL_INVALID' })
  await assert.rejects(registry.labelDevice(parseDeviceId('nobody'), {}, by), { code: 'DEVICE_UNKNOWN' })
  await assert.rejects(registry.revokeToken(credential('nothing').id, by), { code: 'TOKEN_UNKNOWN' })
  assert.equal(registry.device(device)?.profile, profile)
})
