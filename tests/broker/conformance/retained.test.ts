import assert from 'node:assert/strict'
import test from 'node:test'
import { atBothLevels, heard, join, makeOpenWorld, publishAll, subscribe } from './peer.js'

/* Retained messages: what is stored, what replaces it, and who is sent it when. */

atBothLevels('a new subscription is sent the last retained message of each topic, with RETAIN', async (t, level) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', level)
  await publishAll(
    speaker,
    ['t/a', 'older', { qos: 1, retain: true }],
    ['t/a', 'newer', { qos: 1, retain: true }],
    ['t/b', 'another', { qos: 1, retain: true }],
    ['t/b', 'passing', { qos: 1 }],
    ['t/c', 'never kept', { qos: 1 }],
  )
  const listener = await join(world, 'd2', level)
  await subscribe(listener, ['t/+', 1])
  await listener.next('publish', 2)
  await listener.ping()
  assert.deepEqual(
    listener.all('publish').map(({ topic, payload, qos, retain }) => [topic, payload.toString(), qos, retain]),
    [
      ['t/a', 'newer', 1, true],
      ['t/b', 'another', 1, true],
    ],
  )
})

atBothLevels('a retained message of QoS 0 takes the place of the one before', async (t, level) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', level)
  await publishAll(speaker, ['t', 'one', { qos: 1, retain: true }], ['t', 'zero', { retain: true }])
  const listener = await join(world, 'd2', level)
  await subscribe(listener, ['t', 1])
  assert.equal((await listener.next('publish')).qos, 0)
  assert.deepEqual(heard(listener), ['zero'])
})

atBothLevels('who is subscribed already gets a retained message without RETAIN', async (t, level) => {
  const world = await makeOpenWorld(t)
  const [listener, speaker] = [await join(world, 'd2', level), await join(world, 'd1', level)]
  await subscribe(listener, ['t', 1])
  await publishAll(speaker, ['t', 'kept', { qos: 1, retain: true }])
  assert.equal((await listener.next('publish')).retain, false)
})

atBothLevels(
  'an empty retained message is delivered, removes the one before and is not kept itself',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const [listener, speaker] = [await join(world, 'd2', level), await join(world, 'd1', level)]
    await subscribe(listener, ['t', 1])
    await publishAll(speaker, ['t', 'kept', { qos: 1, retain: true }], ['t', '', { qos: 1, retain: true }])
    await listener.next('publish', 2)
    assert.deepEqual(heard(listener), ['kept', ''])
    const later = await join(world, 'd3', level)
    await subscribe(later, ['t', 1])
    await later.ping()
    assert.deepEqual(heard(later), [])
  },
)

atBothLevels(
  'a repeated subscription is sent the retained messages again, and misses nothing meanwhile',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const [listener, speaker] = [await join(world, 'd2', level), await join(world, 'd1', level)]
    await publishAll(speaker, ['t', 'kept', { qos: 1, retain: true }])
    await subscribe(listener, ['t', 0])
    await listener.next('publish')
    const before = publishAll(speaker, ...Array.from({ length: 20 }, (_, n) => ['t', `${n}`, { qos: 1 }] as const))
    await subscribe(listener, ['t', 1])
    await before
    await listener.next('publish', 22)
    await listener.ping()
    assert.deepEqual(
      heard(listener).filter((payload) => payload !== 'kept'),
      Array.from({ length: 20 }, (_, n) => `${n}`),
    )
    assert.equal(heard(listener).length, 22)
  },
)

test('retain handling says when retained messages are sent: always, only for what is new, never', async (t) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', 5)
  await publishAll(speaker, ['t', 'kept', { qos: 1, retain: true }])
  const listener = await join(world, 'd2', 5)
  const counts: number[] = []
  for (const rh of [2, 1, 0, 1]) {
    await subscribe(listener, ['t', 1, { rh }])
    await listener.ping()
    counts.push(listener.all('publish').length)
  }
  const another = await join(world, 'd3', 5)
  await subscribe(another, ['t', 1, { rh: 1 }])
  await another.next('publish')
  assert.deepEqual(counts, [0, 0, 1, 1])
})

test('with retain as published RETAIN stays as it was sent', async (t) => {
  const world = await makeOpenWorld(t)
  const [listener, speaker] = [await join(world, 'd2', 5), await join(world, 'd1', 5)]
  await subscribe(listener, ['t', 1, { rap: true }])
  await publishAll(speaker, ['t', 'kept', { qos: 1, retain: true }], ['t', 'passing', { qos: 1 }])
  await listener.next('publish', 2)
  assert.deepEqual(
    listener.all('publish').map(({ retain }) => retain),
    [true, false],
  )
})
