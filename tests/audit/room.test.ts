import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import type { AuditLog } from '#audit'
import { type AuditEvent, parseDeviceId, parseOperatorName } from '#protocol'
import { bestEffort } from '../../audit/limits.js'
import { endOfTurn, type HeldDisk, openOnHeldDisk } from './held-disk.js'
import { published } from './world.js'

const revoked: AuditEvent = {
  ...{ event: 'device.revoke', device: parseDeviceId('d1'), reason: 'keyCompromise', at: 0, epoch: 1 },
  operator: parseOperatorName('admin'),
}
const stopped = { event: 'server.stop' } as const
const large = { ...published(0), rules: Array.from({ length: 60 }, () => 'r'.repeat(1000)) }

for (const mode of ['strict', 'relaxed'] as const) {
  test(`case 59, ${mode}: on a full disk devices are refused and told to pause, what operators do is taken`, async (context) => {
    const { log, disk } = await openOnHeldDisk(context, mode)
    const heard: boolean[] = []
    log.onCongestion((congested) => heard.push(congested))
    disk.has('full')
    assert.deepEqual([heard, log.full, log.healthy, log.room], [[true], true, true, 'full'])
    assert.match(log.problem ?? '', /disk is full/)
    assert.throws(() => log.append(published(0)), { code: 'AUDIT_FULL' })
    assert.equal(log.append(revoked), 0)
    disk.has('reserved')
    assert.deepEqual([heard, log.full, log.problem], [[true, false], false, undefined])
    assert.equal(log.append(published(0)), 1)
    assert.equal(log.size, 2, 'nothing was counted as missing')
  })
}

test('a disk that takes long for one batch makes sources pause, however little waits', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const { log, disk } = await openOnHeldDisk(context, 'strict')
  log.append(published(0))
  await endOfTurn()
  context.mock.timers.tick(999)
  assert.equal(log.congested, false)
  context.mock.timers.tick(1)
  assert.deepEqual([log.congested, log.problem], [true, 'records wait for the disk'])
  disk.answer()
  assert.deepEqual([log.congested, log.problem], [false, undefined])
})

test('a disk without room for the reserve is a problem, and keeps nobody waiting', async (context) => {
  const { log, disk } = await openOnHeldDisk(context, 'strict')
  disk.has('unreserved')
  assert.match(log.problem ?? '', /reserve/)
  assert.deepEqual([log.congested, log.append(published(0))], [false, 0])
})

test('bestEffort: on a full disk devices go on without records, and a gap says how many are missing', async (context) => {
  const { log, disk } = await openOnHeldDisk(context, 'bestEffort')
  log.append(published(0))
  disk.has('full')
  const from = disk.clock
  for (let index = 1; index <= 3; index++, disk.clock++) assert.equal(log.append(published(index)), -1)
  assert.deepEqual([log.congested, log.full, log.unrecorded], [false, false, 3])
  assert.match(log.problem ?? '', /3 records/)
  assert.equal(log.append(revoked), 1)
  disk.has('reserved')
  assert.equal(log.size, 3, 'the gap')
  assert.equal(log.append(published(4)), 3)
  assert.deepEqual(lastGap(log, disk), { event: 'audit.gap', from, to: from + 2, count: 3 })
})

test('bestEffort: a gap that goes on is recorded now and then out of the reserve', async (context) => {
  const { log, disk } = await openOnHeldDisk(context, 'bestEffort')
  disk.has('full')
  log.append(published(0))
  disk.clock += bestEffort.gapMs
  log.append(published(1))
  assert.deepEqual([log.size, lastGap(log, disk).count], [1, 2])
})

test('bestEffort: records that find no place in memory are missing; nobody is told to pause', async (context) => {
  const { log, disk } = await openOnHeldDisk(context, 'bestEffort')
  let places = 0
  while (log.append(large) >= 0) places++
  assert.equal(log.congested, false)
  void log.whenDurable(places - 1) // what waits goes to the disk
  disk.answer()
  assert.equal(log.size, places + 1)
  assert.equal(lastGap(log, disk).count, 1)
})

test('bestEffort: a log that has failed is opened again, and counts what of the last records did not get there', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const { log, disk } = await openOnHeldDisk(context, 'bestEffort')
  let ended = false
  log.onEnd(() => (ended = true))
  const from = disk.clock
  for (let index = 0; index < 3; index++) log.append(published(index))
  await endOfTurn()
  const recorded = log.whenDurable(2)
  disk.fail()
  await assert.rejects(recorded, { code: 'AUDIT_FAILED' })
  disk.clock += 10
  assert.equal(log.append(published(3)), -1)
  assert.deepEqual([log.answerable, log.healthy, log.writable, ended], [2, true, false, false])
  assert.throws(() => log.append(revoked), { code: 'AUDIT_CLOSED' })
  await assert.rejects(log.whenDurable(2), { code: 'AUDIT_FAILED' })

  disk.size = 1 // of the three, one is on disk
  context.mock.timers.tick(bestEffort.reopenMs)
  await endOfTurn()
  assert.deepEqual([disk.opened, log.writable, log.problem, log.durable], [2, true, undefined, 0])
  assert.deepEqual(lastGap(log, disk), { event: 'audit.gap', from, to: from + 10, count: 3 })
  assert.deepEqual([log.size, log.unrecorded], [2, 3])
  assert.equal(log.append(stopped), 2)
})

test('bestEffort: a key that changes while the log is opened again is what it is signed with', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const { log, disk } = await openOnHeldDisk(context, 'bestEffort')
  disk.fail()
  context.mock.timers.tick(bestEffort.reopenMs)
  const { privateKey } = generateKeyPairSync('ed25519')
  log.signWith({ signingKey: privateKey })
  await endOfTurn()
  assert.deepEqual([disk.opened, log.writable], [2, true])
  assert.equal(disk.signingKey, privateKey)
})

test('bestEffort: what is not done again is never missing: certificates, tokens and acts of operators', async (context) => {
  const { log, disk } = await openOnHeldDisk(context, 'bestEffort')
  disk.has('full')
  const quarantined = { event: 'store.quarantine', comment: 'x', count: 1 } as const
  assert.throws(() => log.append(quarantined), { code: 'AUDIT_FULL' })
  disk.fail()
  for (const event of [revoked, quarantined]) assert.throws(() => log.append(event), { code: 'AUDIT_CLOSED' })
  await assert.rejects(log.close(), { code: 'AUDIT_FAILED' })
})

/** Lets the disk have what waits. */
function lastGap(log: AuditLog, disk: HeldDisk) {
  disk.answer()
  void log.whenDurable(log.size - 1)
  disk.answer()
  const { event, from, to, count } = disk.records.findLast((record) => record.event === 'audit.gap') ?? {}
  return { event, from, to, count }
}
