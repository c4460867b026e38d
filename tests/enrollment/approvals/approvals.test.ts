import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { parseDeviceId, parseLockId } from '#protocol'
import { approvalBounds } from '../../../enrollment/approvals/bounds.js'
import { by, profile } from '../../registry/world.js'
import { createEnrollmentWorld, joinWithTpm, makeToken, openDevice, refusals, type WorldOptions } from '../world.js'

const pump = parseDeviceId('pump-7')
const waits = { code: 'APPROVAL_PENDING', retryAfterSeconds: 60 }

async function open(t: TestContext, over: NonNullable<WorldOptions['profiles']>[number] = { unknown: 'approve' }) {
  const world = await createEnrollmentWorld(t, { profiles: [over] })
  const device = await openDevice(await world.openTpm())
  const recorded = (event: string) => world.audit.records.filter((record) => record.event === event)
  return { ...world, world, device, recorded, join: () => joinWithTpm(world, device) }
}

test('an unknown TPM with a maker waits, is on record once, and comes in when an operator has said so', async (t) => {
  const { approvals, device, join, recorded, world, registry } = await open(t)
  await assert.rejects(join(), waits)
  await assert.rejects(join(), waits)
  const [waiting] = approvals.list()
  assert.deepEqual(
    [waiting?.anchor, waiting?.reason, waiting?.maker, waiting?.tries, waiting?.tier],
    [{ kind: 'ek', hash: device.ekHash }, 'unknown', 'TMRK', 2, 'tpm'],
  )
  assert.equal(recorded('join.pending').length, 1)
  assert.deepEqual(refusals(world), [])

  assert.equal(await approvals.approve(device.ekHash, { device: pump, labels: { site: 'oslo' } }, by), pump)
  assert.deepEqual(approvals.list(), [])
  assert.deepEqual(registry.device(pump)?.labels, { site: 'oslo' })
  assert.equal((await join()).deviceId, pump)
  const [registration] = recorded('device.register')
  assert.ok(registration && 'anchorHash' in registration && registration.anchorHash === device.ekHash)
})

test('without a word in the profile it is refused as ever', async (t) => {
  const { approvals, join, world } = await open(t, {})
  await assert.rejects(join(), { code: 'JOIN_REFUSED' })
  assert.deepEqual([refusals(world), approvals.list()], [['NOT_REGISTERED'], []])
})

test('nobody waits whom no maker vouches for, or who comes with a token that is none', async (t) => {
  const { approvals, world, device } = await open(t, { unknown: 'approve', allowUnvouchedTpm: true })
  const bare = { ...device, ek: { ...device.ek, certificates: [] } }
  await assert.rejects(joinWithTpm(world, bare), { code: 'JOIN_REFUSED' })
  const { text } = await makeToken(world)
  await assert.rejects(joinWithTpm(world, device, `${text.slice(0, -3)}AAA`), { code: 'TOKEN_REFUSED' })
  assert.deepEqual(approvals.list(), [])
})

test('a lock on what an unknown machine is refuses it, and no operator is asked', async (t) => {
  const { approvals, join, device, registry, world } = await open(t)
  const lock = { lock: parseLockId('lock-1'), target: { ek: device.ekHash }, mode: 'lock', reason: 'stolen' } as const
  await registry.addLock(lock, by).done
  await assert.rejects(join(), { code: 'JOIN_REFUSED' })
  assert.deepEqual([refusals(world), approvals.list()], [['LOCKED'], []])
})

test('who was denied is refused for a day, and may then ask anew', async (t) => {
  const { approvals, join, device, clock, recorded } = await open(t)
  await assert.rejects(join(), waits)
  assert.equal(await approvals.deny(device.ekHash, by), clock.now + approvalBounds.wordMs)
  await assert.rejects(join(), { code: 'APPROVAL_DENIED' })
  assert.deepEqual(approvals.list(), [])
  await assert.rejects(approvals.approve(device.ekHash, { device: pump }, by), { code: 'APPROVAL_UNKNOWN' })
  assert.equal(recorded('join.deny').length, 1)
  clock.now += approvalBounds.wordMs
  await assert.rejects(join(), waits)
  assert.equal(approvals.list().length, 1)
})

test('what has gone, or was never there, cannot be approved or denied', async (t) => {
  const { approvals, join, device, clock } = await open(t)
  await assert.rejects(approvals.deny(device.ekHash, by), { code: 'APPROVAL_UNKNOWN' })
  await assert.rejects(join(), waits)
  clock.now += approvalBounds.silentMs
  await assert.rejects(approvals.approve(device.ekHash, { device: pump }, by), { code: 'APPROVAL_UNKNOWN' })
})

test('hardware that was registered meanwhile waits no more, and is approved as nothing else', async (t) => {
  const { approvals, join, device, registry } = await open(t)
  await assert.rejects(join(), waits)
  const anchor = { kind: 'ek', hash: device.ekHash } as const
  await registry.registerDevice({ device: parseDeviceId('other'), profile, labels: {}, anchor }, by)
  assert.deepEqual(approvals.list(), [])
  await assert.rejects(approvals.approve(device.ekHash, { device: pump }, by), { code: 'ANCHOR_TAKEN' })
  assert.equal((await join()).deviceId, 'other')
})

test('a name that is taken leaves the machine waiting', async (t) => {
  const { approvals, join, device, registry } = await open(t)
  await assert.rejects(join(), waits)
  const anchor = { kind: 'ek', hash: (await openDevice(device.tpm, 'rsa-2048')).ekHash } as const
  await registry.registerDevice({ device: pump, profile, labels: {}, anchor }, by)
  await assert.rejects(approvals.approve(device.ekHash, { device: pump }, by), { code: 'ID_TAKEN' })
  await assert.rejects(approvals.approve(device.ekHash, {}, by), { code: 'APPROVAL_INVALID' })
  assert.equal(approvals.list().length, 1)
})

test('tries that are under way while an operator approves end inside or are told to ask again, and none waits on', async (t) => {
  const { approvals, join, device, recorded } = await open(t)
  await assert.rejects(join(), waits)
  const tries = Promise.allSettled([join(), join()])
  await approvals.approve(device.ekHash, { device: pump }, by)
  for (const outcome of await tries) {
    if (outcome.status === 'rejected') assert.equal((outcome.reason as { code: string }).code, 'APPROVAL_PENDING')
    else assert.equal(outcome.value.deviceId, pump)
  }
  assert.deepEqual(approvals.list(), [])
  assert.equal(recorded('join.pending').length, 1)
  assert.equal((await join()).deviceId, pump)
})
