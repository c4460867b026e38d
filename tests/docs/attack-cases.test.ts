import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { tableRows } from './tables.js'
import { isThere, namedTests, testFiles, titlesIn } from './titles.js'

/* The page that says which test holds against which attack is held to the tests, and the tests' numbers to the page. */

const page = readFileSync('docs/attack-cases.md', 'utf8')

const rows = tableRows(page, 'Case', 'Somebody tries').map(([number, , , tests = '', result]) => ({
  number: Number(number),
  tests: namedTests(tests),
  result,
}))

test('the page has a row for each case, once and in order', () => {
  assert.deepEqual(
    rows.map(({ number }) => number),
    Array.from({ length: 106 }, (_, at) => at + 1),
  )
})

test('every test that an attack case is held by exists under that name', () => {
  for (const { number, tests, result } of rows) {
    assert.equal(result, tests.length > 0 ? 'holds' : 'missing', `case ${number}`)
    for (const named of tests) assert.ok(isThere(named), `case ${number}: ${named.file} › ${named.title}`)
  }
})

test('what is sent in a TPM’s name has a test in each row, and each exists under that name', () => {
  const sent = tableRows(page, 'Evidence', 'What comes of it').map(([, , tests = '']) => namedTests(tests))
  assert.ok(sent.length > 0)
  for (const [at, tests] of sent.entries()) {
    assert.notEqual(tests.length, 0, `row ${at + 1}`)
    for (const named of tests) assert.ok(isThere(named), `row ${at + 1}: ${named.file} › ${named.title}`)
  }
})

test('a test that says its number is of a case of the page, and stands in no row of others alone', () => {
  for (const path of testFiles) {
    const file = path.replace(/\.test\.ts$/, '')
    for (const title of titlesIn(path)) {
      const said = numbersOf(title)
      if (said.length === 0) continue
      const known = rows.filter(({ number }) => said.includes(number))
      assert.equal(known.length, said.length, `${file} › ${title}`)
      const stands = rows.filter(({ tests }) => tests.some((named) => named.file === file && named.title === title))
      assert.ok(stands.length === 0 || stands.some((row) => known.includes(row)), `${file} › ${title}`)
    }
  }
})

test('the page counts its cases as it lists them', () => {
  const [, all, hold, missing] = /These are (\d+) cases: (\d+) hold, (\d+) are missing/.exec(page) ?? []
  const held = rows.filter(({ result }) => result === 'holds').length
  assert.deepEqual([all, hold, missing].map(Number), [rows.length, held, rows.length - held])
})

/** `case 55: …`, `cases 58 and 59: …`, `case 59, strict: …` */
function numbersOf(title: string): readonly number[] {
  const [, first = '', second] = /^cases? (\d+)(?: and (\d+))?\b/.exec(title) ?? []
  return [first, second].flatMap((digits) => (digits ? [Number(digits)] : []))
}
