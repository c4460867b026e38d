import assert from 'node:assert/strict'
import test from 'node:test'
import { filterMatches, parseTopicFilter, parseTopicName } from '../../protocol/topics.js'

test('levels may be empty, odd and named like anything', () => {
  for (const topic of [
    'a',
    '/',
    '//',
    'a/',
    '/a',
    ' ',
    '$SYS/x',
    '__proto__',
    'constructor',
    '\u{1f600}',
    '\ufeff',
    'a\u0001',
  ]) {
    assert.equal(parseTopicName(topic), topic)
    assert.equal(parseTopicFilter(topic), topic)
  }
})

test('refuses what no topic may hold', () => {
  const tooLong = ['x'.repeat(1025), 'é'.repeat(513), 'x'.repeat(10_000_000), '/'.repeat(128)]
  for (const topic of ['', '\0', 'a\0b', '\ud800', 'a\udc00b', ...tooLong]) {
    assert.throws(() => parseTopicName(topic), { code: 'INVALID_TOPIC' })
    assert.throws(() => parseTopicFilter(topic), { code: 'INVALID_TOPIC' })
  }
  assert.equal(parseTopicName('x'.repeat(1024)).length, 1024)
  assert.equal(parseTopicName('/'.repeat(127)).length, 127)
})

test('a topic name has no wildcard, a filter has them as whole levels only', () => {
  for (const topic of ['+', '#', 'a+', 'a/#', 'a#b'])
    assert.throws(() => parseTopicName(topic), { code: 'INVALID_TOPIC' })
  for (const filter of ['a+', '+a', 'a/b+/c', 'a#', '#/a', 'a/#/b', '##', '++', '#/', '+#']) {
    assert.throws(() => parseTopicFilter(filter), { code: 'INVALID_TOPIC' }, filter)
  }
  for (const filter of ['#', '+', '+/+', 'a/+/#', '/#', '+/', '//#']) assert.equal(parseTopicFilter(filter), filter)
})

test('matches as MQTT 3.1.1 §4.7 gives examples of', () => {
  const cases: readonly (readonly [filter: string, topic: string, expected: boolean])[] = [
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['sport/tennis/+', 'sport/tennis/player1', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['#', '$SYS/monitor', false],
    ['+/monitor/Clients', '$SYS/monitor/Clients', false],
    ['$SYS/#', '$SYS/monitor', true],
    ['$SYS/monitor/+', '$SYS/monitor/Clients', true],
    ['a/+', 'a/$x', true],
    ['a', 'a/', false],
    ['A', 'a', false],
    ['#', '', true],
  ]
  for (const [filter, topic, expected] of cases) {
    assert.equal(filterMatches(filter.split('/'), topic.split('/')), expected, `${filter} ${topic}`)
  }
})
