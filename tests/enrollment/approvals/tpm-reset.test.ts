import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { openSoftwareTpm } from '#simulators'
import type { EnrollmentProfile } from '#enrollment'
import { by, hour } from '../../registry/world.js'
import {
  answerTo,
  createEnrollmentWorld,
  derOf,
  evidenceOf,
  joinWithTpm,
  makeToken,
  newChannel,
  openDevice,
  refusals,
  renewalOf,
  withFreshKey,
} from '../world.js'

/** A machine that has joined, and the same chip as it was three resets before. */
async function openWithPast(t: TestContext, profile: Partial<EnrollmentProfile>) {
  const world = await createEnrollmentWorld(t, { profiles: [profile] })
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-tpm-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const { ekAuthority, now } = world
  const powerOn = (name: string) => openSoftwareTpm({ folder: join(folder, name), ekAuthority, now })
  await (await powerOn('chip')).close()
  cpSync(join(folder, 'chip'), join(folder, 'past'), { recursive: true })
  for (let resets = 0; resets < 3; resets++) await (await powerOn('chip')).close()
  const { text } = await makeToken(world)
  const present = await openDevice(await powerOn('chip'))
  const first = await joinWithTpm(world, present, text)
  return { ...world, world, first, present, past: await openDevice(await powerOn('past')) }
}

test('a TPM that was reset waits, comes in once with the key that was approved, and begins a new history', async (t) => {
  const { world, approvals, first, past, present, audit } = await openWithPast(t, {})
  await assert.rejects(joinWithTpm(world, past), { code: 'APPROVAL_PENDING' })
  const [waiting] = approvals.list()
  assert.deepEqual([waiting?.reason, waiting?.device], ['tpm_reset', first.deviceId])

  await assert.rejects(approvals.approve(past.ekHash, { labels: { site: 'oslo' } }, by), { code: 'APPROVAL_INVALID' })
  await approvals.approve(past.ekHash, {}, by)
  await assert.rejects(joinWithTpm(world, await withFreshKey(past)), { code: 'APPROVAL_PENDING' }, 'another key')
  const again = await joinWithTpm(world, past)
  assert.equal(again.deviceId, first.deviceId)
  assert.notEqual(again.instanceId, first.instanceId)
  assert.equal(audit.records.filter(({ event }) => event === 'join.approve').length, 1)
  assert.deepEqual(approvals.list(), [])

  assert.equal((await joinWithTpm(world, past)).certificate, again.certificate, 'a lost answer comes again')
  const onward = await withFreshKey(present) // it has more resets than the new history, and so continues it
  assert.equal((await joinWithTpm(world, onward)).deviceId, first.deviceId)
  await assert.rejects(joinWithTpm(world, past), { code: 'APPROVAL_PENDING' }, 'an approval is good once')
})

test('a profile that accepts it opens a new instance without asking', async (t) => {
  const { world, approvals, first, past } = await openWithPast(t, { onTpmReset: 'accept' })
  const again = await joinWithTpm(world, past)
  assert.equal(again.deviceId, first.deviceId)
  assert.notEqual(again.instanceId, first.instanceId)
  assert.deepEqual(approvals.list(), [])
})

test('a virtual TPM that comes with an older state is locked at once, whatever else the profile says', async (t) => {
  const { world, approvals, past, locked } = await openWithPast(t, { virtualTpm: true, onTpmReset: 'accept' })
  await assert.rejects(joinWithTpm(world, past), { code: 'JOIN_REFUSED' })
  assert.deepEqual([locked, refusals(world), approvals.list()], [[past.ekHash], ['TPM_HISTORY_BROKEN'], []])
})

test('who was denied after a reset stays out, and goes on as before with the TPM that continues its history', async (t) => {
  const { world, approvals, first, past, present } = await openWithPast(t, {})
  await assert.rejects(joinWithTpm(world, past), { code: 'APPROVAL_PENDING' })
  await approvals.deny(past.ekHash, by)
  await assert.rejects(joinWithTpm(world, past), { code: 'APPROVAL_DENIED' })
  assert.equal((await joinWithTpm(world, present)).deviceId, first.deviceId)
})

test('a virtual TPM that renews with an older state is locked at once', async (t) => {
  const { world, first, present, locked } = await openWithPast(t, { virtualTpm: true })
  const stale = newChannel()
  const held = await renewalOf(present, { channel: stale.exporter }) // as a copy makes it that goes on from this state
  world.clock.now += 1000
  const channel = newChannel()
  const renewed = derOf(
    await world.enrollment.renew(derOf(first), await renewalOf(present, { channel: channel.exporter }), channel),
  )
  await assert.rejects(world.enrollment.renew(renewed, held, stale), { code: 'TPM_HISTORY_BROKEN' })
  assert.deepEqual([locked, refusals(world)], [[present.ekHash], ['TPM_HISTORY_BROKEN']])
})

test('of two requests that are under way together the late one asks again: nobody is locked, and nobody waits', async (t) => {
  const { world, first, present, locked, approvals } = await openWithPast(t, { virtualTpm: true })
  world.clock.now += hour
  const slow = { ...newChannel(), since: world.clock.now }
  const [join, renewal] = [
    await evidenceOf(present, { channel: slow.exporter }),
    await renewalOf(present, { channel: slow.exporter }),
  ]
  const { nonce } = world.enrollment.createNonce()
  const byNonce = await renewalOf(present, { channel: nonce, binding: 'nonce' })
  world.clock.now += 1000
  const quick = { ...newChannel(), since: world.clock.now }
  const overtaking = await renewalOf(present, { channel: quick.exporter })
  const der = derOf(await world.enrollment.renew(derOf(first), overtaking, quick))

  const overtaken = { code: 'EVIDENCE_OVERTAKEN' }
  await assert.rejects(world.enrollment.renew(der, renewal, slow), overtaken)
  await assert.rejects(world.enrollment.renew(der, byNonce, newChannel()), overtaken)
  const challenge = await world.enrollment.beginTpmJoin(join, slow)
  await assert.rejects(world.enrollment.activateTpmJoin(await answerTo(present, challenge), slow), overtaken)
  assert.deepEqual([locked, approvals.list()], [[], []])

  const again = { ...newChannel(), since: world.clock.now }
  const made = await renewalOf(present, { channel: again.exporter })
  assert.ok(await world.enrollment.renew(der, made, again))
})
