import assert from 'node:assert/strict'
import test from 'node:test'
import type { Labels } from '#protocol'
import { oneOf, span, textLike } from '../../../server/query/kinds-of-term.js'
import { parseQuery, type Terms } from '../../../server/query/query.js'

interface Boat {
  readonly name: string
  readonly labels: Labels
  readonly afloat: boolean
  /** Milliseconds since 1970. */
  readonly dueAt?: number
}

const now = 1_000_000_000
const day = 86_400_000
const terms: Terms<Boat> = {
  maps: { label: ({ labels }) => labels },
  words: {
    name: textLike(({ name }) => [name]),
    is: oneOf({ afloat: ({ afloat }) => afloat }),
    due: span({
      distance: ({ dueAt }) => (dueAt === undefined ? undefined : dueAt - now),
      words: { over: (left) => left !== undefined && left <= 0 },
    }),
  },
}
const boat: Boat = { name: 'sea 7', labels: { site: 'oslo' }, afloat: true, dueAt: now + 3 * day }
const says = (query: string, one: Boat = boat) => parseQuery(query, terms, now)(one)

test('all words must hold, one with a minus must not, and nothing asked is nothing refused', () => {
  assert.ok(says('label.site=oslo is:afloat'))
  assert.ok(says('  -label.site=rome\tis:afloat '))
  assert.ok(!says('label.site=oslo -is:afloat'))
  assert.ok(says(''))
})

test('a value in quotes holds spaces, and a star stands at the end for whatever follows', () => {
  assert.ok(says('name:"sea 7"'))
  assert.ok(says('name:sea*'))
  assert.ok(says('label.site=os*'))
  assert.ok(!says('name:sea'))
  assert.ok(!says('name:*7'), 'elsewhere it is a star')
  assert.ok(!says('label.city=*'), 'of a label that is not there')
})

test('a span is less or more than so long, and what has no such moment is neither', () => {
  assert.ok(says('due:<7d due:>1h due:<1w -due:over'))
  assert.ok(!says('due:<3d'))
  assert.ok(says('due:over', { ...boat, dueAt: now }))
  const never: Boat = { name: 'a', labels: {}, afloat: false }
  assert.ok(!says('due:<7d', never) && !says('due:>1s', never) && !says('due:over', never))
})

test('what an object inherits is no label, no word and no state', () => {
  for (const query of ['label.constructor=x', 'label.__proto__=x', 'label.toString=*']) assert.ok(!says(query), query)
  for (const query of ['__proto__:x', 'is:constructor', 'toString.a=x', 'due:valueOf']) refused(query, /^column 1: /)
})

test('a mistake is named with its column, and with what may stand there', () => {
  refused('is:afloat  colour:red', /^column 12: expected label\.NAME=VALUE, name:…, is:…, due:…, got "colour:red"$/)
  refused('is:sunk', /^column 1: expected is: followed by one of afloat, got "is:sunk"$/)
  refused('-due:7d', /^column 1: expected due: followed by < or > and a span such as 90s, .* over, got "-due:7d"$/)
  refused('due:<7', /^column 1: /)
  refused('due:<-7d', /^column 1: /)
  for (const query of ['is', 'is=afloat', 'label=x', 'label.site:oslo', 'name:"a', 'name:', '-', ':', '=', 'a"b"']) {
    refused(query, /^column 1: expected /)
  }
})

test('a long and hostile query costs no more than its length', () => {
  refused(`name:"${'\\"'.repeat(500)}`, /^column 1: /)
  refused('-'.repeat(1024), /^column 1: /)
  assert.ok(says('is:afloat '.repeat(100)))
})

function refused(query: string, message: RegExp): void {
  assert.throws(() => parseQuery(query, terms, now), { code: 'QUERY_INVALID', message }, query)
}
