import assert from 'node:assert/strict'
import test from 'node:test'
import { createMemoryAudit } from '#audit'
import { parseOperatorName } from '#protocol'
import { AuditReads } from '../../server/audit-reads.js'

const ada = { operator: parseOperatorName('ada'), peer: '192.0.2.1:1000' }
const bob = { operator: parseOperatorName('bob'), peer: '192.0.2.2:1000' }

test('who reads the log stands there at once, and one who asks the same again is counted', () => {
  const audit = createMemoryAudit()
  const reads = new AuditReads(audit)
  reads.add({ device: 'd1', since: '2026-01-01T00:00:00Z' }, ada)
  for (let second = 1; second < 10; second++) reads.add({ device: 'd1', since: `2026-01-01T00:00:0${second}Z` }, ada)
  reads.add({ device: 'd2' }, ada)
  reads.add({ device: 'd1' }, bob)
  const counts = () =>
    audit.records.map((record) => record.event === 'audit.read' && [record.operator, record.count ?? 1])
  assert.deepEqual(counts(), [
    ['ada', 1],
    ['ada', 1],
    ['bob', 1],
  ])
  reads.flush()
  assert.deepEqual(counts().slice(3), [['ada', 9]])
})

test('nothing is read that could not be recorded, and what was only counted ends in peace', () => {
  const audit = createMemoryAudit()
  const reads = new AuditReads(audit)
  reads.add({ device: 'd1' }, ada)
  reads.add({ device: 'd1' }, ada)
  audit.fail()
  assert.throws(() => reads.add({ device: 'd2' }, ada), { code: 'AUDIT_CLOSED' })
  reads.flush()
})
