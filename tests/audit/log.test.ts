import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verifyLog } from '#audit'
import type { AuditRecord } from '#protocol'
import { appendMany, createWorld, published } from './world.js'

test('gives records back as they were appended, with place, time and node', async (context) => {
  const log = await (await createWorld(context)).open()
  assert.equal(log.durable, -1)
  assert.equal(log.append({ event: 'server.start', node: 'n', version: '1', runtime: 'Node.js v20' }), 0)
  assert.equal(log.append(published(0)), 1)
  await log.whenDurable(1)
  const place = { time: 1_700_000_000_000 }
  assert.deepEqual(await collect(log.records(0)), [
    { event: 'server.start', node: 'n', version: '1', runtime: 'Node.js v20', sequence: 0, ...place },
    { ...published(0), sequence: 1, ...place },
  ])
})

test('goes on where it was closed, over bundles, tiles and the write-ahead log', async (context) => {
  const world = await createWorld(context)
  for (const [round, count] of [1, 255, 1, 600, 0, 70_000].entries()) {
    const log = await world.open()
    const before = log.size
    await appendMany(log, count)
    assert.equal(log.size, before + count, `round ${round}`)
    await log.close()
    const report = await verifyLog(world.directory, log.verifierKey)
    assert.deepEqual(
      { ...report, root: '' },
      { ok: true, size: log.size, root: '', uncovered: 0, gone: 0, against: [] },
    )
  }
  const log = await world.open()
  let next = 0
  for await (const { sequence } of log.records(0)) assert.equal(sequence, next++)
  assert.equal(next, 70_857)
})

test('reads and verifies while it is written to', async (context) => {
  const world = await createWorld(context)
  const log = await world.open()
  await appendMany(log, 1000)
  const report = await verifyLog(world.directory, log.verifierKey)
  assert.ok(report.ok)
  assert.equal(report.size + report.uncovered, 1000)
  assert.equal((await collect(log.records(0))).length, 1000)
})

test('a follower and a verifier keep up with a log that makes checkpoints under them', async (context) => {
  const world = await createWorld(context)
  const log = await world.open()
  const stop = new AbortController()
  const last = 70_000
  const following = follow()
  const verifying: Promise<boolean>[] = []
  while (log.size <= last) {
    await appendMany(log, 1000)
    if (log.size % 35_000 === 0) verifying.push(verifyLog(world.directory, log.verifierKey).then(({ ok }) => ok))
  }
  assert.equal(await following, last)
  assert.deepEqual(await Promise.all(verifying), [true, true])

  async function follow(): Promise<number> {
    let next = 0
    for await (const { sequence } of log.follow({}, { signal: stop.signal })) {
      assert.equal(sequence, next++)
      if (sequence === last) stop.abort()
    }
    return next - 1
  }
})

test('durability is told in order, listeners before waiters, and never inside append', async (context) => {
  const log = await (await createWorld(context)).open()
  const heard: string[] = []
  log.onDurable((durable) => heard.push(`listener ${durable}`))
  log.append(published(0))
  assert.equal(heard.length, 0)
  await log.whenDurable(0)
  heard.push('waiter 0')
  assert.deepEqual(heard, ['listener 0', 'waiter 0'])
})

test('after close nothing can be appended, and what was appended is durable', async (context) => {
  const log = await (await createWorld(context)).open()
  log.append(published(0))
  await log.close()
  assert.equal(log.durable, 0)
  assert.throws(() => log.append(published(1)), { code: 'AUDIT_CLOSED' })
  assert.ok(log.healthy)
})

test('an event that no entry can hold is refused and takes no place', async (context) => {
  const log = await (await createWorld(context)).open()
  const rules = Array.from({ length: 100 }, () => 'r'.repeat(1000))
  assert.throws(() => log.append(published(0, { rules })), { code: 'AUDIT_INVALID' })
  const placed = { ...published(0), sequence: 7 }
  assert.throws(() => log.append(placed), { code: 'AUDIT_INVALID' })
  assert.equal(log.append(published(0)), 0)
})

test('following gives what is there and then each new record, until the signal', async (context) => {
  const log = await (await createWorld(context)).open()
  await appendMany(log, 3)
  const stop = new AbortController()
  const seen: number[] = []
  for await (const { sequence } of log.follow({ after: 0 }, { signal: stop.signal })) {
    seen.push(sequence)
    if (sequence < 6) log.append(published(sequence))
    else stop.abort()
  }
  assert.deepEqual(seen, [1, 2, 3, 4, 5, 6])
})

test('following goes by a query too, and ends with its limit', async (context) => {
  const log = await (await createWorld(context)).open()
  await appendMany(log, 300)
  const following = collect(log.follow({ event: 'server.stop', after: 10, limit: 2 }))
  for (let round = 0; round < 3; round++) {
    log.append({ event: 'server.stop' })
    await appendMany(log, 1)
  }
  const found = (await following).map(({ sequence, event }) => [sequence, event])
  assert.deepEqual(found, [
    [300, 'server.stop'],
    [302, 'server.stop'],
  ])
})

test('following ends whenever the signal aborts, also in the moment before it would wait', async (context) => {
  const log = await (await createWorld(context)).open()
  for (let ticks = 0; ticks < 10; ticks++) {
    const stop = new AbortController()
    const following = collect(log.follow({}, { signal: stop.signal }))
    for (let left = ticks; left > 0; left--) await Promise.resolve()
    stop.abort()
    assert.deepEqual(await following, [])
  }
})

test('following ends with the log', async (context) => {
  const log = await (await createWorld(context)).open()
  const following = collect(log.follow({}))
  await appendMany(log, 2)
  await log.close()
  assert.equal((await following).length, 2)
})

async function collect(records: AsyncIterable<AuditRecord>): Promise<readonly AuditRecord[]> {
  const all: AuditRecord[] = []
  for await (const record of records) all.push(record)
  return all
}
