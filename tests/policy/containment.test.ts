import assert from 'node:assert/strict'
import test from 'node:test'
import { covered, intersection, type Levels, overlaps } from '../../policy/matching/containment.js'
import { seeded } from '../seeded.js'
import { sequences } from './sequences.js'

const levels = (filter: string): Levels => filter.split('/')
const all = (...filters: readonly string[]): readonly Levels[] => filters.map(levels)

test('a union covers exactly what its filters cover together', () => {
  const cases: readonly (readonly [filter: string, allowed: readonly string[], expected: boolean])[] = [
    ['#', ['f/d1/#'], false],
    ['f/+/cmd', ['f/d1/cmd'], false],
    ['+/d1/cmd', ['f/d1/cmd'], false],
    ['#', ['/#'], false],
    ['#', ['#'], true],
    ['#', ['+/#'], true],
    ['+/#', ['#'], true],
    ['#', ['+', '+/+/#'], true],
    ['$SYS/#', ['#'], false],
    ['$SYS/#', ['+/#'], false],
    ['+/broker', ['#'], true],
    ['$share/g/x', ['#'], false],
    ['$a/#', ['$a/#'], true],
    ['a/$b', ['a/#'], true],
    ['a/#', ['a/+'], false],
    ['a', ['a/#'], true],
    ['a/', ['a/#'], true],
    ['a', ['a/+'], false],
    ['a/#', ['a', 'a/+', 'a/+/#'], true],
    ['a/#', ['a', 'a/+/#'], true],
    ['a/#', ['a/+/#'], false],
    ['a/+', ['a/1', 'a/2'], false],
    ['a//b', ['a/b'], false],
    ['a//b', ['a/+/b'], true],
    ['/a', ['a'], false],
    ['A', ['a'], false],
    ['a', [], false],
    ['__proto__', ['constructor'], false],
    ['__proto__/+', ['__proto__/#'], true],
  ]
  for (const [filter, allowed, expected] of cases) {
    assert.equal(covered(levels(filter), all(...allowed)), expected, `${filter} in {${allowed.join(', ')}}`)
  }
})

test('filters overlap exactly where some topic is matched by both', () => {
  const cases: readonly (readonly [one: string, other: string, expected: boolean])[] = [
    ['a/#', 'a', true],
    ['a/#', 'a/secret', true],
    ['+/b', 'a/+', true],
    ['+/b', 'a/c', false],
    ['#', '$SYS/x', false],
    ['+/x', '$SYS/x', false],
    ['#', '#', true],
    ['a/+', 'a', false],
    ['a/+/#', 'a/#', true],
    ['a/b', 'a/b/c', false],
  ]
  for (const [one, other, expected] of cases) {
    assert.equal(overlaps(levels(one), levels(other)), expected, `${one} and ${other}`)
    assert.equal(overlaps(levels(other), levels(one)), expected, `${other} and ${one}`)
  }
})

test('all three agree with brute force over all topics of up to five levels', (t) => {
  const random = seeded(20_261_122)
  // Two words that filters name, the empty level, a `$` word, and two that no filter names.
  const topics = sequences(['a', 'b', '', '$s', 'z', '$z'], 5)
  let [positives, overlapping, pairs] = [0, 0, 0]
  const rounds = 2000
  for (let round = 0; round < rounds; round++) {
    const filter = randomFilter(random)
    const others = Array.from({ length: 1 + random(4) }, () => randomFilter(random))
    const matched = topics.filter((topic) => isTopicOf(filter, topic))
    const isCovered = matched.every((topic) => others.some((other) => isTopicOf(other, topic)))
    const shown = `${filter.join('/')} and {${others.map((other) => other.join('/')).join(', ')}}`
    assert.equal(covered(filter, others), isCovered, shown)
    for (const other of others) {
      const met = matched.filter((topic) => isTopicOf(other, topic))
      pairs++
      if (met.length > 0) overlapping++
      assert.equal(overlaps(filter, other), met.length > 0, `${filter.join('/')} and ${other.join('/')}`)
      const common = intersection(filter, other)
      const inCommon = common === undefined ? [] : topics.filter((topic) => isTopicOf(common, topic))
      assert.deepEqual(inCommon, met, `${filter.join('/')} and ${other.join('/')} as ${common?.join('/')}`)
    }
    if (isCovered) positives++
  }
  t.diagnostic(
    `${rounds} unions, ${positives} cover; ${pairs} pairs, ${overlapping} overlap; ${topics.length} topics each`,
  )
  assert.ok(positives > 200, `only ${positives} cases were covered: the generator tests nothing`)
})

// Some 3 ms; a walk that tries every word at every wildcard would not end at all.
test('the hardest filter against a thousand rules takes no exponential time', () => {
  const filter = Array.from({ length: 64 }, () => '+')
  const rules = Array.from({ length: 1024 }, (_, at) => [...filter.slice(1), `x${at}`])
  assert.equal(covered(filter, rules), false)
  assert.equal(covered(filter, [...rules, ['#']]), true)
})

/** MQTT 5.0 §4.7, once more and as plainly as can be. */
function isTopicOf(filter: Levels, topic: Levels): boolean {
  if (topic[0]?.startsWith('$') && !filter[0]?.startsWith('$')) return false
  const isOpen = filter.at(-1) === '#'
  const head = isOpen ? filter.slice(0, -1) : filter
  if (isOpen ? topic.length < head.length : topic.length !== head.length) return false
  return head.every((level, at) => level === '+' || level === topic[at])
}

/** At most four levels, so that five are enough to tell `#` from its end. */
function randomFilter(random: (below: number) => number): Levels {
  const words = ['a', 'b', '', '$s', '+', '+', '+'] as const
  const filter = Array.from({ length: 1 + random(3) }, () => words[random(words.length)] ?? '+')
  if (random(5) === 0) return [...filter.slice(0, -1), '#']
  return random(3) === 0 ? [...filter, '#'] : filter
}

test('a filter of 64 wildcards against 1,024 filters looks at each level of each a few times, and no more', () => {
  let looks = 0
  const counted = (filter: Levels): Levels =>
    new Proxy(filter, {
      get(target, key, receiver) {
        if (typeof key === 'string' && /^\d+$/.test(key)) looks++
        return Reflect.get(target, key, receiver) as unknown
      },
    })
  const [depth, count] = [64, 1024]
  const wild = Array.from({ length: depth }, () => '+')
  const last = (level: string) => [...wild.slice(1), level]
  for (const [asked, decisive, expected] of [
    [wild, '+', true],
    [wild, 'b', false],
    [last('#'), '#', true],
    [last('#'), '+', false],
  ] as const) {
    // None of them can be told from what is asked for before its last level.
    const allowed = Array.from({ length: count }, (_, at) => counted(last(at === count - 1 ? decisive : `a${at}`)))
    looks = 0
    assert.equal(covered(asked, allowed), expected)
    assert.ok(looks <= 4 * (depth + 1) * count, `${looks} looks`)
  }
})
