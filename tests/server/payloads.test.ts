import assert from 'node:assert/strict'
import test from 'node:test'
import { createWorld } from './world.js'

test('who is no operator is shown no payload and erases none', async (t) => {
  const world = await createWorld(t)
  const stranger = await world.device('d1')
  const body = { day: '2026-03-01', device: stranger, comment: 'mine' }
  assert.equal((await world.call('getPayload', undefined, { id: '1' })).status, 401)
  assert.equal((await world.call('disclosePayload', undefined, { id: '1' })).status, 401)
  assert.equal((await world.call('erasePayloads', undefined, { body })).status, 401)
  assert.deepEqual(world.erased, [])
})

test('an erasure is recorded with who and why before it acts', async (t) => {
  const world = await createWorld(t)
  const ada = await world.operator()
  world.audit.hold()
  const answering = world.call('erasePayloads', ada, {
    body: { day: '2026-02-28', device: 'd1', comment: 'request 4711' },
  })
  while (!world.audit.records.some(({ event }) => event === 'payload.erase')) await new Promise(setImmediate)
  assert.deepEqual(world.erased, [])
  world.audit.release()
  const answer = await answering
  assert.deepEqual([answer.status, answer.json()], [200, { day: '2026-02-28', device: 'd1', keys: 1 }])
  assert.deepEqual(world.erased, [{ day: 20_512, device: 'd1' }])
  const [record] = world.audit.records.filter((record) => record.event === 'payload.erase')
  assert.deepEqual([record?.operator, record?.comment, record?.day], ['ada', 'request 4711', '2026-02-28'])
})

test('what is no day, no record or no reason erases and shows nothing', async (t) => {
  const world = await createWorld(t)
  const ada = await world.operator()
  for (const day of ['2026-02-30', '2026-13-01', '1969-12-31', 'today', '../../keys', '2026-02-28T00']) {
    const { status } = await world.call('erasePayloads', ada, { body: { day, comment: 'x' } })
    assert.equal(status, 400, day)
  }
  assert.equal((await world.call('erasePayloads', ada, { body: { day: '2026-02-28' } })).status, 400)
  assert.equal((await world.call('erasePayloads', ada, { body: { day: '2026-02-28', comment: '' } })).status, 400)
  for (const id of ['-1', '1e3', '01', '9'.repeat(16), '..', 'x', '%00']) {
    assert.equal((await world.call('getPayload', ada, { id })).status >= 400, true, id)
  }
  assert.equal((await world.call('getPayload', ada, { id: '999999' })).status, 404)
  assert.deepEqual(world.erased, [])
})

test('who looks at a payload stands in the log, each time, also where there was nothing to see', async (t) => {
  const world = await createWorld(t)
  const ada = await world.operator()
  for (let index = 0; index < 30; index++) await world.call('getPayload', ada, { id: String(index) })
  await world.call('disclosePayload', ada, { id: '7' })
  const queries = world.audit.records.flatMap((record) => (record.event === 'audit.read' ? [record.query] : []))
  assert.deepEqual(queries, [...Array(30).keys()].map((index) => `payload ${index}`).concat('payload 7 disclose'))
})
