import assert from 'node:assert/strict'
import test from 'node:test'
import { decodePcrPolicy } from '#enrollment'

const digest = 'ab'.repeat(32)
const least = { name: 'gateways', mode: 'enforce', profiles: ['default'], pcrs: { 7: [digest] } }
const refused = { code: 'PCR_POLICY_INVALID' }

test('a document is read: values alone and with windows, and rules on events', () => {
  const window = { value: digest, from: '2026-12-01T00:00:00Z', until: '2027-01-01T00:00:00Z', comment: 'firmware 1.7' }
  const events = { secureBoot: 'on', forbid: [{ pcr: 4, digests: [digest], comment: 'shim of 2019' }] }
  const policy = decodePcrPolicy({ ...least, attestEvery: 4, pcrs: { 4: 'any', 7: [digest, window] }, events })
  assert.equal(policy.attestEvery, 4)
  assert.equal(policy.pcrs.get(4), 'any')
  const times = { from: Date.parse(window.from), until: Date.parse(window.until) }
  assert.deepEqual(policy.pcrs.get(7), [{ value: digest }, { value: digest, ...times }])
  assert.deepEqual(policy.events, { secureBoot: true, require: [], only: [], forbid: events.forbid })
})

test('an event log is asked for where a rule needs it, or where the document says so', () => {
  assert.equal(decodePcrPolicy(least).eventLog, false)
  assert.equal(decodePcrPolicy({ ...least, eventLog: true }).eventLog, true)
  assert.equal(decodePcrPolicy({ ...least, events: { secureBoot: 'on' } }).eventLog, true)
})

test('what would hold nobody to anything, or rests on what no quote covers, is refused', () => {
  const rule = { pcr: 4, digests: [digest] }
  for (const hollow of [
    { pcrs: {} },
    { profiles: [] },
    { pcrs: { 7: 'any' } },
    { events: { forbid: [rule] } },
    { pcrs: { 4: [digest] }, events: { secureBoot: 'on' } },
    { pcrs: { 4: 'any' }, events: { only: [{ ...rule, digests: [] }] } },
  ]) {
    assert.throws(() => decodePcrPolicy({ ...least, ...hollow }), refused, JSON.stringify(hollow))
  }
})

test('what is misspelt, out of range or no digest is refused', () => {
  for (const wrong of [
    { mode: 'warn' },
    { name: '../etc' },
    { name: 'Gateways' },
    { attestEvery: 0 },
    { atestEvery: 3 },
    { pcrs: { 24: [digest] } },
    { pcrs: { '07': [digest] } },
    { pcrs: { 7: [digest.toUpperCase()] } },
    { pcrs: { 7: [0] } },
    { pcrs: { 7: [null] } },
    { pcrs: { 7: [{ value: digest, from: '2027-01-01T00:00:00Z', until: '2026-01-01T00:00:00Z' }] } },
    { pcrs: { 7: [{ value: digest, untill: '2026-01-01T00:00:00Z' }] } },
    { pcrs: { 7: Array.from({ length: 65 }, () => digest) } },
    { events: { secureBoot: 'off' } },
  ]) {
    assert.throws(() => decodePcrPolicy({ ...least, ...wrong }), refused, JSON.stringify(wrong))
  }
  for (const nothing of [undefined, null, 7, 'text', []]) assert.throws(() => decodePcrPolicy(nothing), refused)
})
