import assert from 'node:assert/strict'
import test from 'node:test'
import { createMemoryAudit } from '#audit'
import { parseOperatorName } from '#protocol'
import { AuditReads } from '../../server/audit-reads.js'
import { describeSearch, readAuditSearch } from '../../server/http/audit-search.js'

const ada = { operator: parseOperatorName('ada'), peer: '192.0.2.1:1000' }
const bob = { operator: parseOperatorName('bob'), peer: '192.0.2.2:1000' }

const asked = (q: string, now = 0) => describeSearch(readAuditSearch({ q }, now))

function open() {
  const audit = createMemoryAudit()
  const told = () =>
    audit.records.flatMap((record) =>
      record.event === 'audit.read' ? [[record.operator, record.query, record.count ?? 1]] : [],
    )
  return { audit, reads: new AuditReads(audit), told }
}

test('who reads the log stands there at once, and one who asks the same again is counted', () => {
  const { reads, told } = open()
  for (let second = 0; second < 10; second++) reads.add(asked('device:d1 since:2h', 8_000_000 + second), ada)
  for (const after of [99, 199]) reads.add(asked(`device:d1 after:${after}`), ada)
  reads.add(asked('device:d2'), ada)
  reads.add(asked('device:d1'), bob)
  assert.deepEqual(told(), [
    ['ada', 'device:d1 since:1970-01-01T00:13:20.000Z', 1],
    ['ada', 'device:d2', 1],
    ['bob', 'device:d1', 1],
  ])
  reads.flush()
  assert.deepEqual(told().slice(3), [['ada', 'device:d1 since:1970-01-01T00:13:20.000Z', 11]])
})

test('one who asks a thousand different things does not fill the log, and does not hide another operator', () => {
  const { reads, told } = open()
  for (let number = 0; number < 1000; number++) reads.add(asked(`device:d${number}`), ada)
  reads.add(asked('device:d1'), bob)
  reads.flush()
  const records = told()
  assert.ok(records.length < 25, `${records.length} records`)
  const counted = records.filter(([name]) => name === 'ada').map(([, , count]) => Number(count))
  assert.equal(
    counted.reduce((sum, count) => sum + count, 0),
    1000,
  )
  assert.ok(records.some(([name, query]) => name === 'bob' && query === 'device:d1'))
})

test('the same question from elsewhere is a read of its own, from another port it is not', () => {
  const { audit, reads } = open()
  for (const peer of ['192.0.2.1:1', '192.0.2.1:2', '198.51.100.7:1', '[2001:db8::1]:1', '[2001:db8::1]:2'])
    reads.add(asked('device:d1'), { ...ada, peer })
  reads.flush()
  const told = audit.records.map((record) => record.event === 'audit.read' && [record.peer, record.count])
  assert.deepEqual(told, [
    ['192.0.2.1:1', undefined],
    ['198.51.100.7:1', undefined],
    ['[2001:db8::1]:1', undefined],
    ['192.0.2.1:1', undefined],
    ['[2001:db8::1]:1', undefined],
  ])
})

test('nothing is read that could not be recorded, and what was only counted ends in peace', () => {
  const { audit, reads } = open()
  reads.add(asked('device:d1'), ada)
  reads.add(asked('device:d1'), ada)
  audit.fail()
  assert.throws(() => reads.add(asked('device:d2'), ada), { code: 'AUDIT_CLOSED' })
  reads.flush()
})
