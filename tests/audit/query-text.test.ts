import assert from 'node:assert/strict'
import test from 'node:test'
import { type AuditQuery, formatQuery, parseQuery } from '#audit'
import { parseDeviceId, parseOperatorName, parseTopicFilter } from '#protocol'
import { seeded } from '../seeded.js'

const now = Date.parse('2026-11-23T10:00:00Z')
const parse = (q: string) => parseQuery({ q }, now)

test('a query is terms with spaces between them, in any order', () => {
  assert.deepEqual(parse(' decision:deny  device:pump-7\ttopic:a/+/b limit:5 '), {
    device: 'pump-7',
    decision: 'deny',
    topicFilter: 'a/+/b',
    limit: 5,
  })
  assert.deepEqual(parse(''), {})
})

test('a value with spaces or quotes stands in quotes, and a topic may hold colons', () => {
  assert.equal(parse('topic:"a b/\\"c\\"/\\\\"').topicFilter, 'a b/"c"/\\')
  assert.equal(parse('topic:urn:x/y').topicFilter, 'urn:x/y')
})

test('times are so long ago, or moments with their zone', () => {
  const since = (text: string) => parse(`since:${text}`).since
  assert.equal(since('90s'), now - 90_000)
  assert.equal(since('2h'), now - 7_200_000)
  assert.equal(since('1w'), now - 7 * 86_400_000)
  assert.equal(since('999999999w'), 0)
  assert.equal(since('2026-11-23'), Date.parse('2026-11-23T00:00:00Z'))
  assert.equal(since('2026-11-23T09:30+01:00'), Date.parse('2026-11-23T08:30:00Z'))
  assert.equal(since('2026-11-23T08:30:01.5Z'), Date.parse('2026-11-23T08:30:01.500Z'))
})

test('a mistake is named with its column', () => {
  const mistakes: readonly (readonly [query: string, message: RegExp])[] = [
    ['device:d1 colour:red', /^column 11: expected one of device, session, .*got "colour"$/],
    ['device:d1  pump', /^column 12: expected NAME:VALUE .*got "pump"$/],
    ['device:', /^column 1: expected NAME:VALUE/],
    ['  topic:"a b', /^column 3: expected NAME:VALUE/],
    ['topic:"a"b', /^column 1: expected NAME:VALUE/],
    ['device:d1 device:d2', /^column 11: device is given twice$/],
    ['limit:-1', /^column 1: limit: expected a whole number, got "-1"$/],
    ['topic:a#', /^column 1: topic: expected a topic filter, got one whose "#" is not the whole last level$/],
    ['device:a/b', /^column 1: device: /],
    ['event:toString', /^column 1: event: /],
    ['decision:perhaps', /^column 1: decision: expected allow or deny, got "perhaps"$/],
    ['since:yesterday', /^column 1: since: expected a time ago such as 90s/],
    ['since:2026-11-23T08:00', /^column 1: since: /],
    ['since:2026-13-01', /^column 1: since: /],
    ['since:2026-02-31', /^column 1: since: /],
    ['since:2026-02-29T08:00Z', /^column 1: since: /],
    ['__proto__:x', /^column 1: expected one of/],
    [`rule:${'x'.repeat(257)}`, /^column 1: rule: /],
  ]
  for (const [query, message] of mistakes) assert.throws(() => parse(query), { code: 'QUERY_INVALID', message }, query)
})

test('terms by their names are the same language; one may not stand in both', () => {
  assert.deepEqual(parseQuery({ q: 'device:d1', since: '2h' }, now), parse('device:d1 since:2h'))
  assert.throws(() => parseQuery({ q: 'device:d1', device: 'd1' }, now), {
    code: 'QUERY_INVALID',
    message: 'device: is given twice',
  })
  assert.throws(() => parseQuery({ topic: '' }, now), {
    message: 'topic: expected a topic filter, got one that is empty',
  })
  assert.throws(() => parseQuery({ limit: 'x' }, now), { message: 'limit: expected a whole number, got "x"' })
})

test('a query written out is read as the same query, whatever it holds', () => {
  const below = seeded(7)
  const hostile = ['a', 'a b', '"', '\\', 'x:y', '\u0000\u001b[2J', '…/ß', '\t', '\\"']
  const some = <Value>(value: Value): Value | undefined => (below(2) === 0 ? undefined : value)
  for (let round = 0; round < 500; round++) {
    const text = [...Array(1 + below(4)).keys()].map(() => hostile[below(hostile.length)]).join('')
    const query = {
      device: some(parseDeviceId(`d${below(9)}`)),
      session: some(text),
      event: some('message.publish'),
      topicFilter: some(parseTopicFilter(`${text.replaceAll('\0', '')}/+`)),
      decision: some('deny'),
      rule: some(text),
      operator: some(parseOperatorName('ada')),
      since: some(below(1_000_000)),
      until: some(now),
      order: some('oldest'),
      limit: some(below(1000)),
      after: some(below(1000)),
    }
    const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as AuditQuery
    assert.deepEqual(parse(formatQuery(given)), given)
  }
})
