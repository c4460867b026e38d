import assert from 'node:assert/strict'
import test from 'node:test'
import { live } from './live.js'

/*
 * Whatever is lost, late, repeated or killed: at the end each device has one certificate that works, or the way back that
 * is documented; no copy of one has gone unnoticed, and nobody is locked who has none.
 */

const sequences = Number(process.env['TOUCHMARK_SEQUENCES'] ?? 10_000)
const first = Number(process.env['TOUCHMARK_FIRST_SEED'] ?? 1)
const stepsEach = 60

test(`after ${sequences} sequences of ${stepsEach} steps each device works or knows its way back, and copies are found`, async (t) => {
  const sums = new Map<string, number>()
  const began = performance.now()
  for (let seed = first; seed < first + sequences; seed++) {
    const { wrong, counts } = await live(seed, stepsEach)
    assert.equal(wrong, undefined, `seed ${seed}`)
    for (const [what, count] of Object.entries(counts)) sums.set(what, (sums.get(what) ?? 0) + count)
  }
  const seconds = (performance.now() - began) / 1000
  const figures = [...sums].map(([what, count]) => `${count} ${what}`).join(', ')
  t.diagnostic(
    `seeds ${first} to ${first + sequences - 1}, ${stepsEach} steps each, ${seconds.toFixed(0)} s: ${figures}`,
  )
  for (const [what, count] of sums) assert.notEqual(count, 0, what)
})
