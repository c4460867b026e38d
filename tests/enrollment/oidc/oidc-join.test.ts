import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDeviceId, parseLockId } from '#protocol'
import { readDeviceIdentity } from '#x509'
import { trustDomain } from '../../ca/world.js'
import { by, hash, hour, profile } from '../../registry/world.js'
import { derOf, newChannel, refusals } from '../world.js'
import { claimsFor, createOidcWorld, joinJob, keysOf, refused, requestOf, rule } from './world.js'

test('the keys of a job become devices of its run, with the labels of the rule and for an hour', async (t) => {
  const world = await createOidcWorld(t)
  const keys = await keysOf(3)
  const answer = await joinJob(world, keys)
  assert.equal(answer.run, 'github-7301-1')
  const ids = answer.devices.map(({ deviceId }) => deviceId)
  assert.deepEqual(ids, ['sim.github-7301-1.0', 'sim.github-7301-1.1', 'sim.github-7301-1.2'])
  assert.deepEqual(answer.chain, world.ca.chain)
  for (const [at, device] of answer.devices.entries()) {
    const identity = readDeviceIdentity(derOf({ ...answer, ...device }), trustDomain)
    assert.equal(identity.deviceId, device.deviceId)
    assert.equal(identity.tier, 'oidc-sim')
    assert.equal(identity.notAfter.getTime() - identity.notBefore.getTime(), hour)
    assert.deepEqual(answer.renewal, { start: identity.notAfter, end: identity.notAfter })
    assert.equal(world.registry.certificate(identity.fingerprint)?.spkiHash, identity.spkiHash, `key ${at}`)
    assert.deepEqual(world.registry.device(identity.deviceId)?.labels, { site: 'ci' })
  }
  const records = world.audit.records.map(({ event }) => event).slice(-4)
  assert.deepEqual(records, ['join.oidc', 'device.enroll', 'device.enroll', 'device.enroll'])
  const run = world.audit.records.find((record) => record.event === 'join.oidc')
  assert.equal(run?.subject, 'repo:acme/sims:ref:refs/heads/main')
})

test('an answer that was lost comes again: by the same token, by another of the run, and at the same time', async (t) => {
  const world = await createOidcWorld(t)
  const keys = await keysOf(3)
  const token = await world.issuer.sign(claimsFor(world, keys))
  const ask = (idToken = token) => world.enrollment.joinWithOidc(requestOf(keys, idToken), newChannel())
  const answers = [...(await Promise.all([ask(), ask(), ask()])), await ask(), await joinJob(world, keys)]
  const certificates = answers.map(({ devices }) => devices.map(({ certificate }) => certificate).join(''))
  assert.equal(new Set(certificates).size, 1)
  assert.equal(world.registry.devices().length, 3)
  const runs = world.audit.records.filter(({ event }) => event === 'join.oidc')
  assert.equal(runs.length, 2, 'one for each token')
})

test('keys that come again in another order get their own certificates', async (t) => {
  const world = await createOidcWorld(t)
  const keys = await keysOf(3)
  const first = await joinJob(world, keys)
  const again = await joinJob(world, keys.toReversed())
  assert.deepEqual(again.devices.toReversed(), first.devices)
})

test('case 101: a token is of no use for other keys, with a jti and without, before a restart and after', async (t) => {
  for (const named of [{ jti: 'the-only-one' }, { jti: undefined }]) {
    const world = await createOidcWorld(t)
    const [keys, others] = [await keysOf(2), await keysOf(2)]
    const token = await world.issuer.sign({ ...claimsFor(world, keys), ...named })
    const first = await world.enrollment.joinWithOidc(requestOf(keys, token), newChannel())
    await refused(world, world.enrollment.joinWithOidc(requestOf(others, token), newChannel()), 'TOKEN_SPENT')

    const registry = await world.open()
    const restarted = world.openEnrollment({ registry, ca: await world.openCa({ registry }) })
    const again = await restarted.joinWithOidc(requestOf(keys, token), newChannel())
    assert.deepEqual(again.devices, first.devices)
    await assert.rejects(restarted.joinWithOidc(requestOf(others, token), newChannel()), { code: 'TOKEN_SPENT' })
  }
})

test('an issuer that gives one jti twice lets nobody in with the second', async (t) => {
  const world = await createOidcWorld(t)
  await joinJob(world, await keysOf(1), { claims: { jti: 'twice' } })
  await refused(world, joinJob(world, await keysOf(1), { claims: { jti: 'twice' } }), 'TOKEN_SPENT')
})

test('the jobs of a run share its numbers, and what it may have', async (t) => {
  const world = await createOidcWorld(t, { allow: [{ ...rule, devices: 4 }] })
  await joinJob(world, await keysOf(2))
  const second = await joinJob(world, await keysOf(2))
  assert.deepEqual(
    second.devices.map(({ deviceId }) => deviceId),
    ['sim.github-7301-1.2', 'sim.github-7301-1.3'],
  )
  await refused(world, joinJob(world, await keysOf(1)), 'RUN_FULL')
  const other = await joinJob(world, await keysOf(1), { claims: { run_attempt: '2' } })
  assert.equal(other.run, 'github-7301-2')
})

test('a run that cannot stand in a device id, or is not named, goes by a hash', async (t) => {
  const world = await createOidcWorld(t)
  const names = []
  for (const run_id of ['../../etc', 'a-b', 'x'.repeat(60), '#', ' ']) {
    names.push((await joinJob(world, await keysOf(1), { claims: { run_id } })).run)
  }
  names.push((await joinJob(world, await keysOf(1), { claims: { run_id: undefined } })).run)
  for (const name of names) assert.match(name, /^github-[0-9a-f]{32}$/)
  assert.equal(new Set(names).size, names.length)
  assert.equal((await joinJob(world, await keysOf(1), { claims: { run_id: 7302 } })).run, 'github-7302-1')
})

test('one bad CSR refuses all, and is named; so does a key that stands there twice', async (t) => {
  const world = await createOidcWorld(t)
  const [first, second, third] = await keysOf(3)
  assert.ok(first && second && third)
  const csr = Uint8Array.from(second.csr)
  csr[csr.length - 1] = (csr.at(-1) ?? 0) ^ 1 // its signature
  const join = joinJob(world, [first, { ...second, csr }, third])
  await assert.rejects(join, { code: 'CSR_INVALID', message: /^csrs\[1\]: / })
  const keys = [first, second, third]
  const idToken = await world.issuer.sign(claimsFor(world, keys))
  const request = requestOf(keys, idToken)
  const torn = { ...request, csrs: request.csrs.with(2, '!!!') }
  await assert.rejects(world.enrollment.joinWithOidc(torn, newChannel()), {
    code: 'CSR_INVALID',
    message: /^csrs\[2\]: /,
  })
  await refused(world, joinJob(world, [first, second, first]), 'CSR_REPEATED')
  assert.deepEqual(world.registry.devices(), [])
})

test('what a job says of itself is kept, and decides nothing', async (t) => {
  const world = await createOidcWorld(t)
  const keys = await keysOf(1)
  const request = requestOf(keys, await world.issuer.sign(claimsFor(world, keys)))
  await world.enrollment.joinWithOidc({ ...request, reported: { site: 'oslo', role: 'admin' } }, newChannel())
  const [device] = world.registry.devices()
  assert.deepEqual(device?.labels, { site: 'ci' })
  assert.deepEqual(world.registry.instance(device?.instances[0] ?? assert.fail())?.reported?.['role'], 'admin')
})

test('a simulated device is not renewed', async (t) => {
  const world = await createOidcWorld(t)
  const [key] = await keysOf(1)
  assert.ok(key)
  const answer = await joinJob(world, [key])
  const [device] = answer.devices
  assert.ok(device)
  const renewal = world.enrollment.renew(derOf({ ...answer, ...device }), { csr: key.csr }, newChannel())
  await assert.rejects(renewal, { code: 'NOT_RENEWABLE', message: /begin a new run/ })
})

test('when its certificates are over a run is forgotten with one record, and its token opens nothing more', async (t) => {
  const world = await createOidcWorld(t)
  const keys = await keysOf(3)
  const day = { exp: Math.floor(world.clock.now / 1000) + 24 * 3600 }
  const token = await world.issuer.sign({ ...claimsFor(world, keys), ...day })
  const ask = () => world.enrollment.joinWithOidc(requestOf(keys, token), newChannel())
  await ask()
  assert.deepEqual(await world.registry.runs.forgetDue(), [])
  world.clock.now += hour
  await assert.rejects(ask(), { code: 'RUN_OVER' })
  assert.equal((await world.registry.runs.forgetDue()).length, 3)
  assert.deepEqual(world.registry.devices(), [])
  const last = world.audit.records.findLast(({ event }) => event === 'run.forget')
  assert.ok(last?.event === 'run.forget' && last.run === 'github-7301-1' && last.count === 3)
  await assert.rejects(ask(), { code: 'RUN_OVER' })

  const rebuilt = await world.open()
  assert.deepEqual(rebuilt.devices(), [])
  for await (const [key] of world.store.entries('registry/'))
    assert.doesNotMatch(key, /device|instance|certificate|run\//)
})

test('a lock on what a job would get keeps the whole job out, and profiles that want a TPM do too', async (t) => {
  const world = await createOidcWorld(t)
  const order = {
    lock: parseLockId('no-ci'),
    target: { labels: { site: 'ci' } },
    mode: 'lock',
    reason: 'test',
  } as const
  await world.registry.addLock(order, by).done
  await refused(world, joinJob(world, await keysOf(2)), 'JOIN_REFUSED')
  assert.deepEqual(refusals(world), ['LOCKED'])
  const strict = world.openEnrollment({ profiles: [{ name: profile, requireTpm: true }] })
  await refused(world, joinJob(world, await keysOf(2), { enrollment: strict }), 'TPM_REQUIRED')
})

test('a name that an operator has given already is not taken over', async (t) => {
  const world = await createOidcWorld(t)
  const anchor = { kind: 'ek', hash: hash('another machine') } as const
  const device = parseDeviceId('sim.github-7301-1.1')
  await world.registry.registerDevice({ device, profile, labels: {}, anchor }, by)
  await refused(world, joinJob(world, await keysOf(2)), 'JOIN_REFUSED')
  assert.equal(world.registry.device(device)?.state, 'registered')
})
