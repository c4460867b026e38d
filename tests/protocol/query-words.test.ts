import assert from 'node:assert/strict'
import test from 'node:test'
import { parseSpan, queryWords } from '#protocol'

test('a query falls into words, each with its column, its sign and what is behind it', () => {
  const words = [...queryWords(' is:online  -label.site="a \\"b\\" \\\\" x')]
  assert.deepEqual(words, [
    { text: 'is:online', column: 2, negated: false, name: 'is', sign: ':', value: 'online' },
    { text: '-label.site="a', column: 13, negated: true, name: 'label.site', sign: '=', value: 'a "b" \\' },
    { text: 'x', column: 38, negated: false, name: 'x' },
  ])
})

test('two queries are read side by side', () => {
  const one = queryWords('a:1 b:2')[Symbol.iterator]()
  one.next()
  assert.equal([...queryWords('c:3 d:4 e:5')].length, 3)
  assert.equal((one.next().value as { name: string }).name, 'b')
})

test('a span is a whole number and a unit, and nothing else', () => {
  assert.deepEqual(['90s', '15m', '2h', '7d', '1w', '0s'].map(parseSpan), [
    ...[90_000, 900_000, 7_200_000, 604_800_000, 604_800_000, 0],
  ])
  for (const text of ['', '7', 'd', '-7d', '7 d', '1.5h', '7D', '7dd', '9999999999s', '٧d'])
    assert.equal(parseSpan(text), undefined, text)
})
