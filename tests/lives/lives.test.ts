import assert from 'node:assert/strict'
import test from 'node:test'
import { liveAll } from './all.js'

/*
 * Whatever is lost, late, repeated or killed: at the end each device has one certificate that works, or the way back that
 * is documented; no copy of one has gone unnoticed, and nobody is locked who has none.
 */

const count = Number(process.env['TOUCHMARK_SEQUENCES'] ?? 10_000)
const first = Number(process.env['TOUCHMARK_FIRST_SEED'] ?? 1)
const stepsEach = 60

test(`after ${count} sequences of ${stepsEach} steps each device works or knows its way back, and copies are found`, async (t) => {
  const began = performance.now()
  const { wrong, sums } = await liveAll({ first, count, stepsEach })
  assert.equal(wrong, undefined, `seed ${wrong?.seed}: ${wrong?.what}`)
  const seconds = (performance.now() - began) / 1000
  const figures = [...sums].map(([what, lives]) => `${lives} ${what}`).join(', ')
  t.diagnostic(`seeds ${first} to ${first + count - 1}, ${stepsEach} steps each, ${seconds.toFixed(0)} s: ${figures}`)
  for (const [what, lives] of sums) assert.notEqual(lives, 0, what)
})
