import assert from 'node:assert/strict'
import test from 'node:test'
import { renewalTime } from '../../device-agent/renewal.js'

const hourMs = 3_600_000
const life = { notBefore: new Date(0), notAfter: new Date(20 * hourMs) }
const between = (start: number, end: number) => ({
  ...life,
  renewal: { start: new Date(start * hourMs), end: new Date(end * hourMs) },
})

test('asks at random inside the window, and at its start where its end comes before', () => {
  assert.equal(
    renewalTime(between(10, 12), () => 0.5),
    11 * hourMs,
  )
  assert.equal(
    renewalTime(between(10, 8), () => 0.5),
    10 * hourMs,
  )
})

test('a window that opens too late does not cost the device its certificate', () => {
  assert.equal(
    renewalTime(between(19, 30), () => 0.5),
    16 * hourMs,
  )
  assert.equal(
    renewalTime(between(1e6, 2e6), () => 1),
    16 * hourMs,
  )
})
