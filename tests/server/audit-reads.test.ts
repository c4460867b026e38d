import assert from 'node:assert/strict'
import test from 'node:test'
import { createMemoryAudit } from '#audit'
import { parseOperatorName } from '#protocol'
import { AuditReads } from '../../server/audit-reads.js'
import { readAuditSearch } from '../../server/http/audit-search.js'
import type { Reading } from '../../server/readings.js'

const ada = { operator: parseOperatorName('ada'), peer: '192.0.2.1:1000' }
const bob = { operator: parseOperatorName('bob'), peer: '192.0.2.2:1000' }

const asked = (q: string, now = 0): Reading => ({ of: 'records', search: readAuditSearch({ q }, now) })
const followed = (q: string): Reading => ({ of: 'records', search: readAuditSearch({ q, follow: 'true' }, 0) })
const proofOf = (sequence: number): Reading => ({ of: 'proofs', lowest: sequence, highest: sequence })

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
  reads.add(asked('device:d2'), ada)
  reads.add(asked('device:d1'), bob)
  assert.deepEqual(told(), [
    ['ada', 'device:d1 since:1970-01-01T00:13:20.000Z', 1],
    ['ada', 'device:d2', 1],
    ['bob', 'device:d1', 1],
  ])
  reads.flush()
  assert.deepEqual(told().slice(3), [['ada', 'device:d1 since:1970-01-01T00:13:20.001Z', 9]])
})

/** What was asked within one window, and what stands there of it: the first at once, the others as one. */
const windows: readonly (readonly [why: string, readings: readonly Reading[], first: string, others: string])[] = [
  [
    'a second first, and then a month',
    [asked('device:d1 since:1s', 40 * 86_400_000), asked('device:d1 since:30d', 40 * 86_400_000)],
    'device:d1 since:1970-02-09T23:59:59.000Z',
    'device:d1 since:1970-01-11T00:00:00.000Z',
  ],
  [
    'from the earliest beginning to the latest end',
    [
      asked('until:1970-01-01'),
      asked('since:1970-01-02 until:1970-01-03'),
      asked('since:1970-01-05 until:1970-01-06'),
      asked('since:1970-01-04 until:1970-01-05'),
    ],
    'until:1970-01-01T00:00:00.000Z',
    'since:1970-01-02T00:00:00.000Z until:1970-01-06T00:00:00.000Z',
  ],
  [
    'an end that one of them leaves open is open',
    [asked('since:1970-01-02'), asked('since:1970-01-02 after:7'), asked('until:1970-01-03')],
    'since:1970-01-02T00:00:00.000Z',
    '',
  ],
  [
    'pages, the newest first, go down from the highest',
    [asked('limit:5'), asked('limit:5 after:95'), asked('limit:5 after:90')],
    'limit:5',
    'limit:5 after:95',
  ],
  [
    'pages, the oldest first, go up from the lowest',
    [asked('order:oldest'), asked('order:oldest after:90'), asked('order:oldest after:95')],
    'order:oldest',
    'order:oldest after:90',
  ],
  [
    'who follows goes up as well',
    [followed('after:9'), followed('after:20'), followed('after:15')],
    'follow after:9',
    'follow after:15',
  ],
]

for (const [why, readings, first, others] of windows) {
  test(`what is counted as one says no less than what was read: ${why}`, () => {
    const { reads, told } = open()
    for (const reading of readings) reads.add(reading, ada)
    reads.flush()
    assert.deepEqual(told(), [
      ['ada', first, 1],
      ['ada', others, readings.length - 1],
    ])
  })
}

test('proofs beyond those that are named each are told by their lowest and highest record', () => {
  const { reads, told } = open()
  for (let sequence = 0; sequence < 16; sequence++) reads.add(proofOf(sequence), ada)
  for (const sequence of [40, 900, 17, 30]) reads.add(proofOf(sequence), ada)
  reads.flush()
  assert.deepEqual(told().slice(15), [
    ['ada', 'proof of record 15', 1],
    ['ada', 'proof of record 40', 1],
    ['ada', 'proof of records 17 to 900', 3],
  ])
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
    ['192.0.2.1:2', undefined],
    ['[2001:db8::1]:2', undefined],
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
