import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { decodeJoinAnswer, parseDeviceId } from '#protocol'
import { createEkAuthority } from '#simulators'
import type { EkTemplateName } from '#tpm'
import { decodePem, readDeviceIdentity } from '#x509'
import { trustDomain } from '../ca/world.js'
import { by, profile } from '../registry/world.js'
import {
  answerTo,
  createEnrollmentWorld,
  type EnrollmentWorld,
  evidenceOf,
  joinWithTpm,
  makeToken,
  newChannel,
  openDevice,
  refusals,
} from './world.js'

for (const template of ['ecc-p256', 'ecc-p384', 'rsa-2048', 'rsa-3072'] satisfies readonly EkTemplateName[]) {
  test(`a registered TPM with an EK of ${template} joins, and its certificate says so`, async (t) => {
    const world = await createEnrollmentWorld(t)
    const device = await openDevice(await world.openTpm(template), template)
    const anchor = { kind: 'ek', hash: device.ekHash } as const
    await world.registry.registerDevice({ device: parseDeviceId('pump-1'), profile, labels: {}, anchor }, by)

    const answer = await joinWithTpm(world, device)
    assert.deepEqual(decodeJoinAnswer(JSON.parse(JSON.stringify(answer)), ''), answer)
    assert.equal(answer.deviceId, 'pump-1')
    const identity = readDeviceIdentity(decodePem(answer.certificate, 'CERTIFICATE')[0] ?? assert.fail(), trustDomain)
    assert.equal(identity.tier, 'tpm')
    assert.ok(world.registry.admit(identity).admitted)
    const instance = world.registry.instance(answer.instanceId)
    assert.equal(instance?.binding, 'exporter')
    assert.ok(instance.tpm && instance.tpm.akName.length === 34)
  })
}

test('a record names the maker that vouched for a TPM, and nobody where nobody did', async (t) => {
  const world = await createEnrollmentWorld(t, { profiles: [{ allowUnvouchedTpm: true }] })
  const vouched = await openDevice(await world.openTpm())
  const { text } = await makeToken(world)
  const { instanceId } = await joinWithTpm(world, vouched, text)
  assert.equal(enrollmentIn(world).maker, 'TMRK')
  assert.equal(world.registry.instance(instanceId)?.maker, 'TMRK')

  const bare = await openDevice(await world.openTpm())
  const anchor = { kind: 'ek', hash: bare.ekHash } as const
  await world.registry.registerDevice({ device: parseDeviceId('pump-1'), profile, labels: {}, anchor }, by)
  const answer = await joinWithTpm(world, { ...bare, ek: { ...bare.ek, certificates: [] } })
  assert.equal(enrollmentIn(world).maker, undefined)
  assert.equal(world.registry.instance(answer.instanceId)?.maker, undefined)
})

test('the same TPM and key get the same certificate again, and a new key makes a new instance of the same device', async (t) => {
  const world = await createEnrollmentWorld(t)
  const device = await openDevice(await world.openTpm())
  const { text } = await makeToken(world)
  const first = await joinWithTpm(world, device, text)
  assert.match(first.deviceId, /^tpm-/)
  assert.equal((await joinWithTpm(world, device)).certificate, first.certificate)
  const again = await joinWithTpm(world, { ...device, ...(await openDevice(device.tpm)) })
  assert.equal(again.deviceId, first.deviceId)
  assert.notEqual(again.instanceId, first.instanceId)
})

test('a genuine TPM that is not ours is challenged like any other, and refused when it has answered', async (t) => {
  const world = await createEnrollmentWorld(t)
  const device = await openDevice(await world.openTpm())
  await assert.rejects(joinWithTpm(world, device), { code: 'JOIN_REFUSED' })
  assert.deepEqual(refusals(world), ['NOT_REGISTERED'])
})

test('a TPM whose maker is not trusted is refused', async (t) => {
  const world = await createEnrollmentWorld(t)
  const foreign = await createEkAuthority({ folder: join(world.folder, 'foreign'), now: world.now })
  const device = await openDevice(await world.openTpm('ecc-p256', foreign))
  const { text } = await makeToken(world)
  await assert.rejects(joinWithTpm(world, device, text), { code: 'EK_MAKER_UNKNOWN' })
  assert.deepEqual(refusals(world), ['EK_MAKER_UNKNOWN'])
})

test('a TPM without a certificate joins only where profile and operator both say so', async (t) => {
  const strict = await createEnrollmentWorld(t)
  const lenient = await createEnrollmentWorld(t, { profiles: [{ allowUnvouchedTpm: true }] })
  const bare = async (world: typeof strict) => {
    const device = await openDevice(await world.openTpm())
    return { ...device, ek: { ...device.ek, certificates: [] } }
  }
  await assert.rejects(joinWithTpm(strict, await bare(strict)), { code: 'EK_CERTIFICATE_MISSING' })

  const device = await bare(lenient)
  const { text } = await makeToken(lenient)
  await assert.rejects(joinWithTpm(lenient, device, text), { code: 'JOIN_REFUSED' })
  const anchor = { kind: 'ek', hash: device.ekHash } as const
  await lenient.registry.registerDevice({ device: parseDeviceId('pump-1'), profile, labels: {}, anchor }, by)
  const answer = await joinWithTpm(lenient, device)
  const [der = assert.fail()] = decodePem(answer.certificate, 'CERTIFICATE')
  assert.equal(readDeviceIdentity(der, trustDomain).tier, 'tpm-unvouched')
})

test('with a victim’s EK certificate and a key of one’s own the answer is the same, and activation fails', async (t) => {
  const world = await createEnrollmentWorld(t)
  const victim = await openDevice(await world.openTpm())
  const attacker = await openDevice(await world.openTpm())
  await makeToken(world)
  const channel = newChannel()
  const request = await evidenceOf({ ...attacker, ek: victim.ek }, { channel: channel.exporter })
  const before = world.audit.records.length
  const challenge = await world.enrollment.beginTpmJoin(request, channel)
  assert.equal(world.audit.records.length, before, 'no state')
  await assert.rejects(answerTo({ ...attacker, ek: attacker.ek }, challenge), { code: 'TPM_COMMAND_FAILED' })
  await assert.rejects(answerTo({ ...victim, ak: await victim.tpm.attestationKey() }, challenge), {
    code: 'TPM_COMMAND_FAILED',
  })
  await assert.rejects(
    world.enrollment.activateTpmJoin({ cookie: challenge.cookie, secret: new Uint8Array(32) }, channel),
    { code: 'ACTIVATION_FAILED' },
  )
})

test('a challenge is answered once, in time, on its connection, and a wrong answer spends it', async (t) => {
  const world = await createEnrollmentWorld(t)
  const device = await openDevice(await world.openTpm())
  const { text } = await makeToken(world, { uses: 10 })
  const begin = async () => {
    const channel = newChannel()
    const request = await evidenceOf(device, { channel: channel.exporter })
    const challenge = await world.enrollment.beginTpmJoin({ ...request, token: text }, channel)
    return { channel, answer: await answerTo(device, challenge) }
  }
  const { enrollment } = world

  const used = await begin()
  await enrollment.activateTpmJoin(used.answer, used.channel)
  await assert.rejects(enrollment.activateTpmJoin(used.answer, used.channel), { code: 'COOKIE_SPENT' })

  const moved = await begin()
  await assert.rejects(enrollment.activateTpmJoin(moved.answer, newChannel()), { code: 'CHANNEL_MISMATCH' })
  await assert.rejects(enrollment.activateTpmJoin(moved.answer, moved.channel), { code: 'COOKIE_SPENT' })

  const guessed = await begin()
  const wrong = { ...guessed.answer, secret: new Uint8Array(32) }
  await assert.rejects(enrollment.activateTpmJoin(wrong, guessed.channel), { code: 'ACTIVATION_FAILED' })
  await assert.rejects(enrollment.activateTpmJoin(guessed.answer, guessed.channel), { code: 'COOKIE_SPENT' })

  const late = await begin()
  world.clock.now += 120_000
  await assert.rejects(enrollment.activateTpmJoin(late.answer, late.channel), { code: 'COOKIE_EXPIRED' })
})

test('a cookie that was changed anywhere, or sealed under another key, opens nothing', async (t) => {
  const world = await createEnrollmentWorld(t)
  const device = await openDevice(await world.openTpm())
  const channel = newChannel()
  const request = await evidenceOf(device, { channel: channel.exporter })
  const { cookie, secret } = await answerTo(device, await world.enrollment.beginTpmJoin(request, channel))
  const changed = [...cookie].map(
    (letter, at) => cookie.slice(0, at) + (letter === 'A' ? 'B' : 'A') + cookie.slice(at + 1),
  )
  const cut = [...cookie].map((_, at) => cookie.slice(0, at))
  for (const hostile of [...changed, ...cut, `${cookie}A`, `${cookie}.`, '..', 'tmc1..']) {
    await assert.rejects(world.enrollment.activateTpmJoin({ cookie: hostile, secret }, channel), {
      code: 'COOKIE_INVALID',
    })
  }
})

test('what the device reports travels along, and a long report is left out and not refused', async (t) => {
  const world = await createEnrollmentWorld(t)
  const device = await openDevice(await world.openTpm())
  for (const [reported, kept] of [
    [{ model: 'RX-7' }, { model: 'RX-7' }],
    [{ model: 'x'.repeat(8000) }, undefined],
  ] as const) {
    const { text: token } = await makeToken(world)
    const channel = newChannel()
    const fresh = { ...device, ...(await openDevice(device.tpm)) }
    const request = await evidenceOf(fresh, { channel: channel.exporter, reported })
    const challenge = await world.enrollment.beginTpmJoin({ ...request, token }, channel)
    assert.ok(challenge.cookie.length < 4096)
    const answer = await world.enrollment.activateTpmJoin(await answerTo(fresh, challenge), channel)
    assert.equal(JSON.stringify(world.registry.instance(answer.instanceId)?.reported), JSON.stringify(kept))
  }
})

test('where TLS ends before us a nonce stands in for the exporter, once and for two minutes', async (t) => {
  const world = await createEnrollmentWorld(t)
  const device = await openDevice(await world.openTpm())
  const { text } = await makeToken(world, { uses: 10 })
  const channel = { peer: '192.0.2.7' }
  const { nonce } = world.enrollment.createNonce()
  const request = { ...(await evidenceOf(device, { channel: nonce, binding: 'nonce' })), token: text }
  const challenge = await world.enrollment.beginTpmJoin(request, channel)
  const answer = await world.enrollment.activateTpmJoin(await answerTo(device, challenge), channel)
  assert.equal(world.registry.instance(answer.instanceId)?.binding, 'nonce')

  await assert.rejects(world.enrollment.beginTpmJoin(request, channel), { code: 'NONCE_INVALID' })
  const stale = await evidenceOf(device, { channel: world.enrollment.createNonce().nonce, binding: 'nonce' })
  world.clock.now += 120_000
  await assert.rejects(world.enrollment.beginTpmJoin(stale, channel), { code: 'NONCE_INVALID' })
  const unbound = await evidenceOf(device, { channel: new Uint8Array(32) })
  await assert.rejects(world.enrollment.beginTpmJoin(unbound, channel), { code: 'BINDING_REQUIRED' })
})

test('a profile that insists on the exporter takes no nonce', async (t) => {
  const world = await createEnrollmentWorld(t, { profiles: [{ requireExporter: true }] })
  const device = await openDevice(await world.openTpm())
  const { nonce } = world.enrollment.createNonce()
  const request = await evidenceOf(device, { channel: nonce, binding: 'nonce' })
  await assert.rejects(world.enrollment.beginTpmJoin(request, newChannel()), { code: 'BINDING_REQUIRED' })
})

/** The newest join on record. */
function enrollmentIn({ audit }: EnrollmentWorld) {
  const record = audit.records.findLast(({ event }) => event === 'device.enroll')
  return record?.event === 'device.enroll' ? record : assert.fail('nobody has joined')
}
