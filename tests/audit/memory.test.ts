import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMemoryAudit } from '#audit'

test('records get their place, time and node, and are durable at once but never inside append', async () => {
  const audit = createMemoryAudit({ now: () => 42 })
  const heard: number[] = []
  audit.onDurable((durable) => heard.push(durable))
  assert.equal(audit.durable, -1)
  assert.equal(audit.append({ event: 'server.stop' }), 0)
  assert.equal(audit.append({ event: 'server.stop' }), 1)
  assert.deepEqual(heard, [])
  await audit.whenDurable(1)
  assert.deepEqual(heard, [1])
  assert.deepEqual(audit.records[1], { event: 'server.stop', sequence: 1, time: 42 })
})

test('refuses what the real log refuses', () => {
  const audit = createMemoryAudit({ now: () => 0.5 })
  assert.throws(() => audit.append({ event: 'server.stop' }), { code: 'AUDIT_INVALID' })
  assert.deepEqual(audit.records, [])
})

test('held records wait for the release, in order', async () => {
  const audit = createMemoryAudit()
  audit.hold()
  const order: string[] = []
  const both = [0, 1].map(async (sequence) => {
    audit.append({ event: 'server.stop' })
    await audit.whenDurable(sequence)
    order.push(`durable ${sequence}`)
  })
  await Promise.resolve()
  assert.equal(audit.durable, -1)
  audit.release()
  await Promise.all(both)
  assert.deepEqual(order, ['durable 0', 'durable 1'])
})

test('a relaxed double is answerable while it is held', async () => {
  const audit = createMemoryAudit({ mode: 'relaxed' })
  audit.hold()
  const heard: number[] = []
  audit.onAnswerable((answerable) => heard.push(answerable))
  audit.append({ event: 'server.stop' })
  assert.deepEqual([heard, audit.answerable], [[], -1])
  await Promise.resolve()
  assert.deepEqual([heard, audit.answerable, audit.durable], [[0], 0, -1])
})

test('after a failure waiters are refused with AUDIT_FAILED and appends with AUDIT_CLOSED', async () => {
  const audit = createMemoryAudit()
  audit.append({ event: 'server.stop' })
  await audit.whenDurable(0)
  audit.hold()
  audit.append({ event: 'server.stop' })
  const waiting = audit.whenDurable(1)
  audit.fail()
  await assert.rejects(waiting, { code: 'AUDIT_FAILED' })
  await assert.rejects(audit.whenDurable(1), { code: 'AUDIT_FAILED' })
  await audit.whenDurable(0)
  assert.throws(() => audit.append({ event: 'server.stop' }), { code: 'AUDIT_CLOSED' })
})

test('listeners hear of each change of congestion once, until they stop listening', () => {
  const audit = createMemoryAudit()
  const heard: boolean[] = []
  const stop = audit.onCongestion((congested) => heard.push(congested))
  audit.setCongested(true)
  audit.setCongested(true)
  audit.setCongested(false)
  stop()
  audit.setCongested(true)
  assert.deepEqual(heard, [true, false])
})
