import assert from 'node:assert/strict'
import test from 'node:test'
import { parseTopicFilter, parseTopicName } from '#protocol'
import { TopicCache } from '../../../broker/routing/topic-cache.js'

const names = ['a', 'a/b', 'a/c', 'b', '$SYS/a'].map(parseTopicName)

test('forgets the topics that a filter matches and no others', () => {
  const cache = new TopicCache<string>(20)
  for (const name of names) cache.set(name, name)
  cache.forget(parseTopicFilter('a/+'))
  assert.deepEqual(
    names.map((name) => cache.get(name)),
    ['a', undefined, undefined, 'b', '$SYS/a'],
  )
  cache.forget(parseTopicFilter('$SYS/a'))
  cache.forget(parseTopicFilter('b/#'))
  assert.deepEqual(
    names.map((name) => cache.get(name)),
    ['a', undefined, undefined, undefined, undefined],
  )
  cache.forget(parseTopicFilter('#'))
  assert.equal(cache.size, 0)
})

test('never holds more than it may, and goes on knowing what it was told last', () => {
  const cache = new TopicCache<number>(6)
  for (let n = 0; n < 100; n++) {
    const name = parseTopicName(`t/${n}`)
    cache.set(name, n)
    assert.equal(cache.get(name), n)
    assert.ok(cache.size <= 3)
  }
})

test('counts levels, so that deep topics which somebody makes up take no more memory than others', () => {
  const cache = new TopicCache<number>(1000)
  for (let n = 0; n < 100; n++) {
    cache.set(parseTopicName(`t/${n}${'/deep'.repeat(98)}`), n)
    assert.ok(cache.size <= 10)
  }
  cache.forget(parseTopicFilter('t/+/deep/#'))
  assert.equal(cache.size, 0)
  for (let n = 0; n < 500; n++) cache.set(parseTopicName(`t/${n}`), n)
  assert.equal(cache.size, 500, 'what was forgotten counts no more')
})
