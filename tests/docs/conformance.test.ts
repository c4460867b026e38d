import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { isThere, type NamedTest, namedTests } from './titles.js'

/* The page that says which clause of MQTT is held by which test is held to the tests, and to the standards' numbering. */

const page = readFileSync('docs/mqtt-conformance.md', 'utf8')

/** One for each version of the protocol, from its heading to the next. */
const parts = page.split(/^## (?=MQTT )/m).slice(1)

for (const part of parts) {
  const [version = ''] = part.split('\n')

  test(`every test that ${version} is held by exists under that name`, () => {
    const rows = keptRows(part)
    assert.ok(rows.length > 100)
    for (const { clause, tests, result } of rows) {
      assert.ok(tests.length > 0, `${clause} has a test`)
      for (const { file, title } of tests) {
        assert.ok(isThere({ file: `broker/${file}`, title }), `${clause}: ${file} › ${title}`)
      }
      assert.equal(result, 'kept')
    }
  })

  test(`the clauses of ${version} are all there, and each of them once`, () => {
    const clauses = clausesIn(part)
    assert.deepEqual(
      clauses.filter((clause, at) => clauses.indexOf(clause) !== at),
      [],
    )
    for (const [section, numbers] of bySection(clauses)) {
      const first = firstNumbers.get(`${version} ${section}`) ?? 1
      assert.deepEqual(
        numbers.toSorted((one, other) => one - other),
        numbers.map((_, at) => first + at),
        section,
      )
    }
  })

  test(`the page counts the clauses of ${version} as it lists them`, () => {
    const [, total, kept] = /has (\d+) numbered statements: (\d+) are kept/.exec(part) ?? []
    assert.deepEqual([Number(total), Number(kept)], [clausesIn(part).length, keptRows(part).length])
  })
}

test('the page has both versions, as many clauses as their appendices', () => {
  assert.deepEqual(
    parts.map((part) => [part.split('\n')[0], clausesIn(part).length]),
    [
      ['MQTT 3.1.1', 141],
      ['MQTT 5.0', 251],
    ],
  )
})

/** Where a section's numbering does not begin with 1. */
const firstNumbers: ReadonlyMap<string, number> = new Map([['MQTT 5.0 2.2.1', 2]])

interface Row {
  readonly clause: string
  readonly tests: readonly NamedTest[]
  readonly result: string | undefined
}

/** The rows of the table with four columns. */
function keptRows(part: string): readonly Row[] {
  return part
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter(([, clause, , , , end]) => clause?.startsWith('MQTT-') && end === '')
    .map(([, clause = '', , tests = '', result]) => ({ clause, tests: namedTests(tests), result }))
}

/** All that the part names, in tables and in lists, without `MQTT-`. */
function clausesIn(part: string): readonly string[] {
  return [...part.matchAll(/MQTT-(\d+\.\d+\.\d+-\d+)/g)].map(([, clause = '']) => clause)
}

function bySection(clauses: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const sections = new Map<string, number[]>()
  for (const clause of clauses) {
    const [section = '', number] = clause.split('-')
    const numbers = sections.get(section) ?? []
    numbers.push(Number(number))
    sections.set(section, numbers)
  }
  return sections
}
