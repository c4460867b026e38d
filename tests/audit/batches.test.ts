import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verifyLog } from '#audit'
import type { AuditEvent } from '#protocol'
import { busy, relaxed, unawaited } from '../../audit/limits.js'
import { endOfTurn, openOnHeldDisk } from './held-disk.js'
import { createWorld, device, published } from './world.js'

const ended: AuditEvent = {
  event: 'session.end',
  device,
  session: '5e55105e55105e551001',
  sessionIndex: 1,
  reason: 'client',
}

test('strict answers when the disk has the record, relaxed in the turn that queued it', async (context) => {
  for (const mode of ['strict', 'relaxed'] as const) {
    const { log, disk } = await openOnHeldDisk(context, mode)
    const heard: number[] = []
    log.onAnswerable((answerable) => heard.push(answerable))
    log.append(published(0))
    log.append(published(1))
    assert.deepEqual([heard, log.answerable], [[], -1], 'never inside append')
    await endOfTurn()
    assert.deepEqual([heard, log.durable], [mode === 'strict' ? [] : [1], -1])
    void log.whenDurable(1)
    disk.answer()
    assert.deepEqual([heard, log.answerable, log.durable], [[1], 1, 1])
  }
})

test('relaxed lets records gather, unless somebody waits for the disk itself', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const { log, disk } = await openOnHeldDisk(context, 'relaxed')
  for (let turn = 0; turn < 3; turn++) {
    log.append(published(turn))
    await endOfTurn()
  }
  context.mock.timers.tick(relaxed.gatherMs - 1)
  assert.equal(disk.batches, 0)
  context.mock.timers.tick(1)
  assert.equal(disk.batches, 1)
  disk.answer()
  assert.equal(log.durable, 2)

  const durable = log.whenDurable(log.append(published(3)))
  assert.equal(disk.batches, 2)
  disk.answer()
  await durable
})

test('strict lets records gather after a batch of many, for as long as the disk took for it', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const { log, disk } = await openOnHeldDisk(context, 'strict')
  const appendInOneTurn = async (count: number) => {
    for (let index = 0; index < count; index++) log.append(published(index))
    await endOfTurn()
    return disk.batches
  }
  assert.equal(await appendInOneTurn(3), 1)
  disk.answer(0.0015)
  assert.equal(await appendInOneTurn(100), 2, 'at once after a few')
  disk.answer(0.0015)
  assert.equal(await appendInOneTurn(3), 2)
  context.mock.timers.tick(1)
  assert.equal(disk.batches, 3)
  disk.answer(0.0015)
  assert.equal(await appendInOneTurn(100), 4)
  disk.answer(0.0005)
  assert.equal(await appendInOneTurn(100), 5, 'at once on a quick disk')
  disk.answer(10)
  assert.equal(await appendInOneTurn(3), 5)
  context.mock.timers.tick(busy.gatherMs)
  assert.equal(disk.batches, 6, 'no longer than that on a slow one')
})

test('strict lets gather what nobody waits for, until somebody waits for what comes after it', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const { log, disk } = await openOnHeldDisk(context, 'strict')
  const appendInOneTurn = async (...events: readonly AuditEvent[]) => {
    for (const event of events) log.append(event)
    await endOfTurn()
    return disk.batches
  }
  assert.equal(await appendInOneTurn(ended, ended), 0)
  context.mock.timers.tick(unawaited.gatherMs - 1)
  assert.equal(await appendInOneTurn(ended), 0)
  context.mock.timers.tick(1)
  assert.equal(disk.batches, 1)
  disk.answer()
  assert.equal(log.durable, 2)

  assert.equal(await appendInOneTurn(ended), 1)
  assert.equal(await appendInOneTurn(published(0)), 2, 'both at once')
  assert.equal(await appendInOneTurn(ended), 2)
  disk.answer()
  assert.deepEqual([log.durable, disk.batches], [4, 2])
  assert.equal(await appendInOneTurn(ended, published(1), ended), 3)
  disk.answer()

  const durable = log.whenDurable(log.append(ended))
  assert.equal(disk.batches, 4, 'who asks does wait')
  const behind = log.whenDurable(log.append(ended))
  disk.answer()
  await durable
  assert.equal(disk.batches, 5, 'also behind a batch that is under way')
  disk.answer()
  await behind
})

test('no answer goes further ahead of a slow disk than the loss window', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const { log, disk } = await openOnHeldDisk(context, 'relaxed')
  const appendOne = async (afterMs: number) => {
    disk.clock += afterMs
    log.append(published(0))
    await endOfTurn()
    return log.answerable
  }
  assert.equal(await appendOne(0), 0)
  context.mock.timers.tick(relaxed.gatherMs)
  assert.equal(await appendOne(relaxed.lossWindowMs), 1)
  assert.equal(await appendOne(1), 1)
  assert.equal(await appendOne(-relaxed.lossWindowMs - 2), 1, 'a clock set back is no proof of a quick disk')
  disk.clock += relaxed.lossWindowMs + 2
  disk.answer()
  assert.deepEqual([log.answerable, log.durable], [3, 0])
})

test('relaxed refuses as strict does once the disk has failed, and answers nothing more', async (context) => {
  const { log, disk } = await openOnHeldDisk(context, 'relaxed')
  log.append(published(0))
  await endOfTurn()
  log.append(published(1))
  disk.fail()
  await endOfTurn()
  assert.deepEqual([log.answerable, log.durable, log.healthy], [0, -1, false])
  assert.throws(() => log.append(published(2)), { code: 'AUDIT_CLOSED' })
  await assert.rejects(log.whenDurable(0), { code: 'AUDIT_FAILED' })
})

test('a relaxed log that is closed holds everything that was appended', async (context) => {
  const world = await createWorld(context)
  const log = await world.open({ mode: 'relaxed' })
  for (let index = 0; index < 1000; index++) log.append(published(index))
  await log.close()
  assert.equal(log.durable, 999)
  const report = await verifyLog(world.directory, log.verifierKey)
  assert.deepEqual([report.ok, report.size, report.uncovered], [true, 1000, 0])
})
