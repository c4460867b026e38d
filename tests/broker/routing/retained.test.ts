import assert from 'node:assert/strict'
import test from 'node:test'
import {
  type DeviceId,
  filterMatches,
  parseDeviceId,
  parseTopicFilter,
  parseTopicName,
  topicLevels,
  type TopicName,
} from '#protocol'
import { Retained } from '../../../broker/routing/retained.js'
import { seeded } from '../../seeded.js'
import { randomFilter, randomName } from './topics.js'

interface Kept {
  readonly topic: TopicName
  readonly payload: Uint8Array
  readonly keptBytes: number
  readonly publisher: DeviceId
  readonly expiresAt: number | undefined
}

function message(topic: string, payload = 'x', publisher = 'dev', expiresAt?: number): Kept {
  return {
    topic: parseTopicName(topic),
    payload: Buffer.from(payload),
    keptBytes: payload.length,
    publisher: parseDeviceId(publisher),
    expiresAt,
  }
}

/** Retained messages beside a store that is a map, at a time that the test sets. */
function makeWorld(limits = { maxRetainedPerDevice: 1000, maxRetainedBytesPerDevice: 10_000 }) {
  const rows = new Map<TopicName, Kept>()
  const world = { rows, now: 1000 }
  const store = {
    putRetained: (kept: Kept) => void rows.set(kept.topic, kept),
    deleteRetained: (topic: TopicName) => void rows.delete(topic),
  }
  return { world, rows, retained: new Retained<Kept>({ store, limits, elapsed: () => world.now }) }
}

const topicsOf = (retained: Retained<Kept>, filter: string) =>
  [...retained.matching(parseTopicFilter(filter))].map(({ topic }) => topic).sort()

test('gives the last message of each topic, and none where the last one was empty', () => {
  const { retained, rows } = makeWorld()
  retained.set(message('a/b', 'one'))
  retained.set(message('a/b', 'two'))
  retained.set(message('a/c'))
  retained.set(message('a/c', ''))
  const found = [...retained.matching(parseTopicFilter('a/#'))]
  assert.deepEqual(
    found.map(({ payload }) => Buffer.from(payload).toString()),
    ['two'],
  )
  assert.deepEqual([...rows.keys()], ['a/b'])
})

test('a wildcard in the first level never finds a $ topic, a wildcard behind it does', () => {
  const { retained } = makeWorld()
  for (const topic of ['$SYS/a', '$SYS/$x', 'a/$x', '$SYS']) retained.set(message(topic))
  assert.deepEqual(topicsOf(retained, '#'), ['a/$x'])
  assert.deepEqual(topicsOf(retained, '+'), [])
  assert.deepEqual(topicsOf(retained, '+/$x'), ['a/$x'])
  assert.deepEqual(topicsOf(retained, '$SYS/#'), ['$SYS', '$SYS/$x', '$SYS/a'])
  assert.deepEqual(topicsOf(retained, '$SYS/+'), ['$SYS/$x', '$SYS/a'])
})

test('a device has room for so many messages and bytes, and its own old one makes room for the new', () => {
  const { retained } = makeWorld({ maxRetainedPerDevice: 2, maxRetainedBytesPerDevice: 10 })
  const hasRoom = (topic: string, bytes: number, publisher = 'dev') =>
    retained.hasRoom(parseDeviceId(publisher), parseTopicName(topic), bytes)
  retained.set(message('a', '123456'))
  assert.ok(hasRoom('b', 4))
  assert.ok(!hasRoom('b', 5))
  assert.ok(hasRoom('a', 10))
  retained.set(message('b', '1'))
  assert.ok(!hasRoom('c', 1))
  assert.ok(hasRoom('c', 0))
  assert.ok(hasRoom('c', 10, 'other'))
  retained.set(message('a', 'taken', 'other'))
  assert.ok(hasRoom('c', 9))
})

test('a device that goes takes its messages with it, and those of others stay', () => {
  const { retained, rows } = makeWorld()
  for (const topic of ['a', 'b/c', 'b']) retained.set(message(topic))
  retained.set(message('b', 'x', 'other'))
  assert.equal(retained.removeOf(parseDeviceId('dev')), 2)
  assert.equal(retained.removeOf(parseDeviceId('dev')), 0)
  assert.deepEqual(topicsOf(retained, '#'), ['b'])
  assert.deepEqual([...rows.keys()], ['b'])
  assert.deepEqual([retained.size, retained.bytes], [1, 1])
})

test('an expired message is not given out, and a sweep takes it out of memory and store', () => {
  const { world, retained, rows } = makeWorld()
  retained.set(message('a', 'x', 'dev', 2000))
  retained.set(message('b', 'x', 'dev', 3000))
  retained.set(message('c'))
  retained.set(message('d', 'x', 'dev', 2000))
  retained.set(message('d', 'x', 'dev', 9000)) // the newer one counts
  world.now = 2000
  assert.deepEqual(topicsOf(retained, '#'), ['b', 'c', 'd'])
  retained.sweep()
  assert.deepEqual([...rows.keys()].sort(), ['b', 'c', 'd'])
  assert.equal(retained.size, 3)
  world.now = 5000
  retained.sweep()
  assert.deepEqual([...rows.keys()].sort(), ['c', 'd'])
})

test('sweeps get through any number of messages, each at a bounded number of them', () => {
  const { world, retained } = makeWorld()
  for (let n = 0; n < 2500; n++) retained.set(message(`a/${n}`, 'x', 'dev', n % 2 === 0 ? 2000 : 9000))
  world.now = 2000
  retained.sweep()
  assert.equal(retained.size, 2000)
  for (let times = 0; times < 2; times++) retained.sweep()
  assert.equal(retained.size, 1250)
})

test('a reader that takes its time gets what stayed, and neither what went nor what came meanwhile', () => {
  const { world, retained } = makeWorld()
  for (const topic of ['a/1', 'a/2', 'a/3', 'a/4', 'a/5']) retained.set(message(topic))
  retained.set(message('a/6', 'x', 'dev', 2000))
  const reader = retained.matching(parseTopicFilter('#'))
  retained.set(message('a/0'))
  assert.equal(reader.next().value?.topic, 'a/1')
  retained.set(message('a/1', ''))
  retained.set(message('a/1', 'again'))
  retained.set(message('a/3', ''))
  retained.set(message('a/4', 'newer'))
  world.now = 2000
  assert.deepEqual(
    [...reader].map(({ topic }) => topic),
    ['a/2', 'a/5'],
  )
})

test('what the store kept is there again and counts', () => {
  const { retained, rows } = makeWorld({ maxRetainedPerDevice: 1, maxRetainedBytesPerDevice: 10 })
  retained.restore(message('a', 'xyz'))
  assert.deepEqual(topicsOf(retained, '#'), ['a'])
  assert.deepEqual([retained.size, retained.bytes, rows.size], [1, 3, 0])
  assert.ok(!retained.hasRoom(parseDeviceId('dev'), parseTopicName('b'), 1))
})

test('very many levels cost what they take, and are given back', () => {
  const { retained } = makeWorld({ maxRetainedPerDevice: 1000, maxRetainedBytesPerDevice: 20_000 })
  const deep = (levels: number) => `${'x/'.repeat(levels - 1)}y`
  const dev = parseDeviceId('dev')
  assert.ok(retained.hasRoom(dev, parseTopicName(deep(16)), 20_000))
  assert.ok(!retained.hasRoom(dev, parseTopicName(deep(128)), 1))
  retained.set(message(deep(100)))
  assert.ok(!retained.hasRoom(dev, parseTopicName('a'), 4000))
  assert.ok(retained.hasRoom(dev, parseTopicName(deep(100)), 2)) // in its own place
  retained.set(message(deep(100), ''))
  assert.ok(retained.hasRoom(dev, parseTopicName('a'), 20_000))
})

test('the same as matching every message by itself, while thousands come and go', () => {
  const random = seeded(77)
  const { world, retained, rows } = makeWorld()
  for (let round = 0; round < 3000; round++) {
    const expiresAt = random(3) === 0 ? world.now + 1 + random(50) : undefined
    const payload = random(3) === 0 ? '' : 'x'.repeat(1 + random(5))
    retained.set(message(randomName(random), payload, `dev${random(4)}`, expiresAt))
    if (random(100) === 0) retained.removeOf(parseDeviceId(`dev${random(4)}`))
    if (random(10) === 0) retained.sweep()
    world.now++
    const filter = randomFilter(random)
    const expected = [...rows.values()]
      .filter(({ expiresAt: end }) => end === undefined || end > world.now)
      .filter(({ topic }) => filterMatches(topicLevels(filter), topicLevels(topic)))
    assert.deepEqual(new Set(retained.matching(filter)), new Set(expected))
    assert.equal(retained.size, rows.size)
    assert.equal(
      retained.bytes,
      [...rows.values()].reduce((sum, kept) => sum + kept.payload.length, 0),
    )
  }
})
