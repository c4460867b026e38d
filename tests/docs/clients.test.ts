import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { type Cell, cellsOf, clientNames, featureNames, gapsOf } from '../journeys/clients/cells.js'
import { tableRows } from './tables.js'

/* What the page says of other people's clients is held to the matrix through which the tests take them. */

const page = readFileSync('docs/mqtt-conformance.md', 'utf8')

test('the page shows what each client does, over which transports and in which versions', () => {
  const expected = featureNames.map((feature) => [
    feature,
    ...clientNames.map((client) => manners(cellsOf(client).filter((cell) => cell.feature === feature && !cell.gap))),
  ])
  assert.deepEqual(tableRows(page, 'The client …', ...clientNames), expected)
})

test('the page names every gap with its cells and its reason', () => {
  const expected = clientNames.flatMap((client) =>
    gapsOf(client).map((gap) => {
      const cells = cellsOf(client).filter((cell) => cell.gap === gap)
      const features = new Set(cells.map(({ feature }) => feature))
      const what = features.size === featureNames.length ? 'all' : [...features].join('; ')
      return [client, what, manners(cells), `${cells.length}`, gap.because]
    }),
  )
  assert.deepEqual(tableRows(page, 'Client', 'Cannot'), expected)
})

test('the page counts the cells as they are', () => {
  const cells = clientNames.flatMap(cellsOf)
  const [, all, tested, gaps] = /Of these (\d+) cells (\d+) are tests, [^.]* (\d+) are gaps/.exec(page) ?? []
  const empty = cells.filter(({ gap }) => gap).length
  assert.deepEqual([all, tested, gaps].map(Number), [cells.length, cells.length - empty, empty])
})

/** `TLS`, or `TLS with 5` where that is the only version. */
function manners(cells: readonly Cell[]): string {
  const transports = new Set(cells.map(({ way }) => way.transport))
  return [...transports]
    .map((transport) => {
      const versions = new Set(cells.flatMap(({ way }) => (way.transport === transport ? [way.version] : [])))
      return versions.size === 2 ? transport : `${transport} with ${[...versions].join()}`
    })
    .join(', ')
}
