import assert from 'node:assert/strict'
import test from 'node:test'
import { type RouteName, routes } from '#protocol'
import { type CallOptions, createWorld } from './world.js'

/** Every way to what the log or a payload says, and what the record calls it. */
const ways: readonly (readonly [RouteName, CallOptions, query: string])[] = [
  ['searchAudit', { query: '?q=device:d1+decision:deny&limit=5' }, 'device:d1 decision:deny limit:5'],
  ['searchAudit', {}, ''],
  ['searchAudit', { query: '?session=0b54f6a0&order=oldest' }, 'session:0b54f6a0 order:oldest'],
  ['searchAudit', { query: '?event=audit.read&follow=true' }, 'follow event:audit.read'],
  ['auditProof', { id: '7' }, 'proof of record 7'],
  ['getPayload', { id: '7' }, 'payload 7'],
  ['disclosePayload', { id: '7' }, 'payload 7 disclose'],
]

test('every way to read the log leaves a record of who, with which certificate, what, and from where', async (t) => {
  const { audit, operator, call } = await createWorld(t)
  const ada = await operator()
  for (const [name, options, query] of ways) {
    await call(name, ada, options)
    const record = audit.records.findLast(({ event }) => event === 'audit.read')
    assert.ok(record?.event === 'audit.read', name)
    assert.deepEqual([record.operator, record.query, record.count], ['ada', query, undefined], name)
    assert.match(`${record.peer} ${record.fingerprint}`, /^127\.0\.0\.1:\d+ [0-9a-f]{64}$/)
  }
})

test('no other answer holds a record of the log', () => {
  const reading = Object.entries(routes).filter(([, { method, path }]) => method === 'GET' && path.includes('/audit'))
  const names = new Set<string>(ways.map(([name]) => name))
  const others = reading.map(([name]) => name).filter((name) => !names.has(name))
  assert.deepEqual(others, ['auditCheckpoint'], 'a size and hashes')
})

test('who pages through the log, or begins to follow it again and again, is two records and not one each time', async (t) => {
  const { audit, auditReads, operator, call } = await createWorld(t)
  const ada = await operator()
  const reads = () => audit.records.filter((record) => record.event === 'audit.read')
  for (let page = 0; page < 20; page++) await call('searchAudit', ada, { query: `?limit=5&after=${page * 5}` })
  for (let time = 0; time < 20; time++) await call('searchAudit', ada, { query: `?follow=true&after=${time}` })
  assert.equal(reads().length, 2)
  auditReads.flush()
  assert.deepEqual(
    reads().map(({ query, count }) => [query, count]),
    [
      ['limit:5 after:0', undefined],
      ['follow after:0', undefined],
      ['limit:5 after:95', 19],
      ['follow after:1', 19],
    ],
  )
})

test('of many proofs not each is a record, and the first of them are named', async (t) => {
  const { audit, auditReads, operator, call } = await createWorld(t)
  const ada = await operator()
  for (let sequence = 0; sequence < 40; sequence++) await call('auditProof', ada, { id: String(sequence) })
  auditReads.flush()
  const reads = audit.records.flatMap((record) => (record.event === 'audit.read' ? [record] : []))
  assert.deepEqual(
    reads.map(({ query }) => query),
    [...Array.from({ length: 17 }, (_, sequence) => `proof of record ${sequence}`), 'proof of records 17 to 39'],
  )
  assert.equal(
    reads.reduce((sum, { count = 1 }) => sum + count, 0),
    40,
  )
})

test('a question that is none, and a caller who is no operator, read nothing and are no read', async (t) => {
  const { audit, operator, call } = await createWorld(t)
  assert.equal((await call('searchAudit', await operator(), { query: '?q=nonsense' })).status, 400)
  for (const [name, options] of ways) assert.equal((await call(name, undefined, options)).status, 401)
  assert.ok(!audit.records.some(({ event }) => event === 'audit.read'))
  assert.ok(audit.records.some((record) => record.event === 'operator.refuse' && record.reason === 'no_certificate'))
})
