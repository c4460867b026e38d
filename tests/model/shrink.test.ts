import assert from 'node:assert/strict'
import test from 'node:test'
import { shrink } from './shrink.js'

const numbers = Array.from({ length: 400 }, (_, at) => at)
const needs =
  (...wanted: readonly number[]) =>
  (part: readonly number[]) =>
    Promise.resolve(wanted.every((one) => part.includes(one)))

test('what is left of a list is what it fails by, in its order', async () => {
  assert.deepEqual(await shrink(numbers, needs(7, 220, 399), 1000), [7, 220, 399])
  assert.deepEqual(await shrink(numbers, needs(), 1000), [])
})

test('after so many tries the shortest so far is the answer', async () => {
  let tries = 0
  const fails = async (part: readonly number[]) => {
    tries++
    return needs(7, 220)(part)
  }
  const part = await shrink(numbers, fails, 20)
  assert.equal(tries, 20)
  assert.ok(part.includes(7) && part.includes(220) && part.length < 120, `${part.length} are left`)
})
