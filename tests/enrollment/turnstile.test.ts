import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Turnstile } from '../../enrollment/turnstile.js'

test('lets one on in each turn of the event loop, in the order in which they came', async () => {
  const turnstile = new Turnstile()
  const turnOf: number[] = []
  let turn = 0
  const all = Promise.all([0, 1, 2, 3].map((one) => turnstile.pass().then(() => (turnOf[one] = turn))))
  for (; turnOf.length < 4 && turn < 100; turn++) await setImmediate()
  await all
  assert.equal(new Set(turnOf).size, 4, `turns ${turnOf.join()}`)
  assert.deepEqual(
    turnOf,
    turnOf.toSorted((one, other) => one - other),
  )
})

test('lets on who comes when it has been empty', async () => {
  const turnstile = new Turnstile()
  await turnstile.pass()
  await turnstile.pass()
  await Promise.all([turnstile.pass(), turnstile.pass()])
})
