import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDeviceId, parseProfileName } from '#protocol'
import { createJoinToken } from '#enrollment'
import { by } from '../registry/world.js'
import {
  createEnrollmentWorld,
  joinWithTpm,
  makeToken,
  newChannel,
  openDevice,
  refusals,
  softwareKey,
} from './world.js'

test('a token and a CSR become a certificate, and the token is nowhere to be read afterwards', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { id, text } = await makeToken(world, { device: parseDeviceId('pump-1') })
  const { csr } = await softwareKey()
  const reported = { model: 'RX-7', role: 'admin' }
  const answer = await world.enrollment.joinWithToken(text, { csr, reported }, newChannel())
  assert.equal(answer.deviceId, 'pump-1')
  assert.deepEqual(answer.chain, world.ca.chain)
  assert.deepEqual(answer.trustBundle.certificates, [world.ca.root.pem])
  assert.ok(answer.renewal.start < answer.renewal.end && answer.renewal.start > answer.serverTime)

  const record = world.audit.records.find(({ event }) => event === 'device.enroll')
  assert.ok(record?.event === 'device.enroll' && record.token === id && record.binding === 'none')
  assert.deepEqual(record.labels, { site: 'oslo' }, 'labels are the token’s and not what the device says')
  const secret = text.split('.')[2] ?? assert.fail()
  assert.ok(!JSON.stringify([world.audit.records, world.registry.tokens()]).includes(secret))
})

test('the same token and key asked twice, one after the other or at once, get one certificate', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { id, text } = await makeToken(world)
  const { csr } = await softwareKey()
  const ask = () => world.enrollment.joinWithToken(text, { csr }, newChannel())
  const answers = [...(await Promise.all([ask(), ask(), ask()])), await ask()]
  assert.equal(new Set(answers.map(({ certificate }) => certificate)).size, 1)
  assert.equal(world.registry.token(id)?.uses.spent, 1)
})

test('a stolen token is of no use for a second key', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { text } = await makeToken(world)
  await world.enrollment.joinWithToken(text, await onlyCsr(), newChannel())
  await assert.rejects(world.enrollment.joinWithToken(text, await onlyCsr(), newChannel()), { code: 'TOKEN_SPENT' })
  assert.deepEqual(refusals(world), ['TOKEN_SPENT'])
})

test('a token for one network is of no use elsewhere, and is not used up there', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { id, text } = await makeToken(world, { addresses: ['198.51.100.7', '192.0.2.0/24', '2001:db8::/32'] })
  const request = await onlyCsr()
  const join = (peer: string) => world.enrollment.joinWithToken(text, request, newChannel(peer))
  for (const peer of ['192.0.3.7:4000', '198.51.100.8', '[2001:db9::1]:4000', 'unknown']) {
    await assert.rejects(join(peer), { code: 'JOIN_REFUSED' })
  }
  assert.equal(world.registry.token(id)?.uses.spent, 0)
  const answer = await join('192.0.2.7:4000')
  await assert.rejects(join('192.0.3.7:4000'), { code: 'JOIN_REFUSED' }, 'nor is its answer given again there')
  assert.equal((await join('[::ffff:192.0.2.9]:4000')).certificate, answer.certificate)
  assert.deepEqual(new Set(refusals(world)), new Set(['TOKEN_BOUND']))
})

test('a token for one TPM lets no other in, and no key in software', async (t) => {
  const world = await createEnrollmentWorld(t)
  const [own, other] = await Promise.all([openDevice(await world.openTpm()), openDevice(await world.openTpm())])
  const { text } = await makeToken(world, { ekHash: own.ekHash })
  await assert.rejects(world.enrollment.joinWithToken(text, await onlyCsr(), newChannel()), { code: 'JOIN_REFUSED' })
  await assert.rejects(joinWithTpm(world, other, text), { code: 'JOIN_REFUSED' })
  assert.deepEqual(refusals(world), ['TOKEN_BOUND', 'TOKEN_BOUND'])
  assert.match((await joinWithTpm(world, own, text)).deviceId, /^tpm-/)
})

test('a token is bound to what can be held against a machine, or is not made', async (t) => {
  const world = await createEnrollmentWorld(t)
  for (const addresses of [[], ['oslo'], ['10.0.0.0/33'], Array.from({ length: 17 }, () => '192.0.2.1')]) {
    await assert.rejects(makeToken(world, { addresses }), { code: 'TOKEN_INVALID' })
  }
})

test('an unknown token and a wrong secret are one answer, and two reasons in the log', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { id } = await makeToken(world)
  const [, , guess = ''] = createJoinToken().token.split('.')
  const answers = []
  for (const token of [`tm1.${id}.${guess}`, `tm1.nobody.${guess}`]) {
    answers.push(await refusedJoin(world.enrollment.joinWithToken(token, await onlyCsr(), newChannel())))
  }
  assert.deepEqual(answers[0], answers[1])
  assert.equal(answers[0]?.code, 'TOKEN_REFUSED')
  assert.deepEqual(refusals(world), ['TOKEN_MISMATCH', 'TOKEN_UNKNOWN'])
})

test('a token is asked for before any signature is checked', async (t) => {
  const world = await createEnrollmentWorld(t)
  const join = (token: string) => world.enrollment.joinWithToken(token, { csr: new Uint8Array() }, newChannel())
  await assert.rejects(join(createJoinToken().token), { code: 'TOKEN_REFUSED' })
  await assert.rejects(join((await makeToken(world)).text), { code: 'CSR_INVALID' })
})

test('a revoked or expired token, another profile, and a revoked device are refused', async (t) => {
  const world = await createEnrollmentWorld(t)
  const join = async (token: string, over = {}) =>
    world.enrollment.joinWithToken(token, { ...(await onlyCsr()), ...over }, newChannel())

  const revoked = await makeToken(world)
  await world.registry.revokeToken(revoked.id, by)
  await assert.rejects(join(revoked.text), { code: 'TOKEN_REVOKED' })

  const { text } = await makeToken(world, { device: parseDeviceId('pump-1'), uses: 9 })
  await assert.rejects(join(text, { profile: parseProfileName('other') }), { code: 'PROFILE_UNKNOWN' })
  const { deviceId } = await join(text)
  await world.registry.revokeDevice(deviceId, { ...by, reason: 'keyCompromise' }).done
  await assert.rejects(join(text), { code: 'JOIN_REFUSED' })

  const old = await makeToken(world)
  world.clock.now += 3600_000
  await assert.rejects(join(old.text), { code: 'TOKEN_EXPIRED' })
})

test('text that is no token is refused as such', async (t) => {
  const world = await createEnrollmentWorld(t)
  const { text } = await makeToken(world)
  const [, id = '', secret = ''] = text.split('.')
  const hostile = [
    '',
    '.',
    text.slice(0, -1),
    `${text}A`,
    ` ${text}`,
    `${text}\n`,
    `tm2.${id}.${secret}`,
    `tm1.__proto__.x`,
  ]
  for (const token of [...hostile, `tm1..${secret}`, `tm1.${'a'.repeat(65)}.${secret}`, `tm1.a/b.${secret}`, '\0']) {
    await assert.rejects(world.enrollment.joinWithToken(token, await onlyCsr(), newChannel()), {
      code: 'TOKEN_MALFORMED',
    })
  }
})

async function onlyCsr() {
  return { csr: (await softwareKey()).csr }
}

/** All that the other end can see of a refusal. */
async function refusedJoin(join: Promise<unknown>): Promise<{ readonly code: unknown; readonly message: unknown }> {
  const [result] = await Promise.allSettled([join])
  assert.equal(result.status, 'rejected')
  const { code, message } = result.reason as { readonly code: unknown; readonly message: unknown }
  return { code, message }
}

test('where the profile asks for a TPM a token alone lets nobody in, and with one it does', async (t) => {
  const world = await createEnrollmentWorld(t, { profiles: [{ requireTpm: true }] })
  const { id, text } = await makeToken(world)
  const { csr } = await softwareKey()
  await assert.rejects(world.enrollment.joinWithToken(text, { csr }, newChannel()), { code: 'TPM_REQUIRED' })
  assert.deepEqual(refusals(world), ['TPM_REQUIRED'])
  assert.equal(world.registry.token(id)?.uses.spent, 0)
  assert.ok(await joinWithTpm(world, await openDevice(await world.openTpm()), text))
})
