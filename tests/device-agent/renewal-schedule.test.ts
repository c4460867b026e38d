import assert from 'node:assert/strict'
import test from 'node:test'
import { waitAsAsked } from '../../device-agent/back-off.js'
import { RenewalSchedule, renewalTime } from '../../device-agent/renewal-schedule.js'

const hourMs = 3_600_000
const life = { notBefore: new Date(0), notAfter: new Date(20 * hourMs) }
const window = (start: number, end: number) => ({ start: new Date(start * hourMs), end: new Date(end * hourMs) })
const between = (start: number, end: number) => ({ ...life, renewal: window(start, end) })

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

test('another window for the certificate in use moves its renewal, and one and the same always to the same moment', () => {
  let drawn = 0.5
  const schedule = new RenewalSchedule(between(10, 12), () => drawn)
  assert.equal(schedule.next, 11 * hourMs)
  drawn = 0.1
  for (let answer = 0; answer < 3; answer++) {
    schedule.hear(window(4, 6))
    assert.equal(schedule.next, 5 * hourMs)
  }
  schedule.hear(window(1e6, 2e6))
  assert.equal(schedule.next, 16 * hourMs, 'no window makes it never')
  schedule.hear(window(-2, -1))
  assert.ok(schedule.next < 0, 'now')
})

test('what could not be had is not asked for sooner because the service names its window again', () => {
  const schedule = new RenewalSchedule(between(10, 12), () => 0)
  const now = 11 * hourMs
  const wait = schedule.failed(now, undefined)
  schedule.hear(window(10, 12))
  assert.equal(schedule.next, now + wait)
})

test('a service that always wants a renewal now gets one an hour in the end', () => {
  const schedule = new RenewalSchedule(between(10, 12), () => 0.5)
  let now = 0
  const waits = Array.from({ length: 12 }, () => {
    schedule.renewed({ notBefore: new Date(now), notAfter: new Date(now + 20 * hourMs), renewal: window(-2, -1) }, now)
    schedule.hear(window(-2, -1))
    const wait = schedule.next - now
    now = schedule.next
    return wait
  })
  assert.ok(waits.every((wait, at) => wait >= (waits[at - 1] ?? 30_000)))
  assert.equal(waits.at(-1), 0.75 * hourMs)
  schedule.renewed(between(10, 12), now + 15 * hourMs) // in its time
  schedule.renewed(between(10, 12), 0) // and then an operator asks
  assert.ok(schedule.next <= 10 * hourMs + 2 * hourMs)
})

test('however soon or late the service wants to be asked again, it is asked within a minute and a day, and by chance later', () => {
  const pace = { leastMs: 60_000, usualMs: 900_000, mostMs: 24 * hourMs }
  const waits = [undefined, 0, 1, 3600, Number.MAX_SAFE_INTEGER].map((seconds) => waitAsAsked(pace, seconds, () => 0))
  assert.deepEqual(waits, [900_000, 60_000, 60_000, hourMs, 24 * hourMs])
  assert.equal(
    waitAsAsked(pace, 3600, () => 1),
    1.25 * hourMs,
  )
})
