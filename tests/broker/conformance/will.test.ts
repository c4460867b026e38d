import assert from 'node:assert/strict'
import test from 'node:test'
import type { Changes } from '#store'
import { connectPacket, until } from '../harness.js'
import { atBothLevels, cut, heard, join, lasting, makeOpenWorld, publishAll, subscribe } from './peer.js'

/* The will: kept with the connection, published when that is lost, and only then. */

const will = { topic: 'w', payload: Buffer.from('gone'), qos: 1, retain: false } as const

atBothLevels('a will is published when the connection is lost, once, with its own QoS and RETAIN', async (t, level) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', level)
  await subscribe(listener, ['w/#', 2])
  for (const [at, { qos, retain }] of (
    [
      { qos: 0, retain: false },
      { qos: 1, retain: true },
    ] as const
  ).entries()) {
    const client = await join(world, 'd1', level, { will: { ...will, topic: `w/${at}`, qos, retain } })
    client.socket.destroy()
    assert.deepEqual((await listener.next('publish', at + 1)).qos, qos)
  }
  const later = await join(world, 'd3', level)
  await subscribe(later, ['w/#', 2])
  await later.next('publish')
  await later.ping()
  assert.deepEqual(
    later.all('publish').map(({ topic, retain }) => [topic, retain]),
    [['w/1', true]],
  )
  assert.equal(listener.all('publish').length, 2)
})

atBothLevels('a will is forgotten with DISCONNECT, and where there was none nothing is published', async (t, level) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', level)
  await subscribe(listener, ['#', 1])
  const polite = await join(world, 'd1', level, { will })
  polite.send({ cmd: 'disconnect' })
  await polite.closed
  await cut(world, await join(world, 'd1', level))
  await publishAll(listener)
  await listener.ping()
  assert.deepEqual(heard(listener), ['x'])
})

atBothLevels('a will that was published is not published again by the session that lasts', async (t, level) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', level)
  await subscribe(listener, ['w', 1])
  await cut(world, await join(world, 'd1', level, { ...lasting(level), will }))
  await listener.next('publish')
  await cut(world, await join(world, 'd1', level, lasting(level)))
  await publishAll(listener)
  await listener.ping()
  assert.deepEqual(heard(listener), ['gone'])
})

test('DISCONNECT with will publishes it, and DISCONNECT in good order does not', async (t) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', 5)
  await subscribe(listener, ['w', 1])
  for (const reasonCode of [0x00, 0x04]) {
    const client = await join(world, 'd1', 5, { will: { ...will, payload: Buffer.from(String(reasonCode)) } })
    client.send({ cmd: 'disconnect', reasonCode })
    await client.closed
  }
  await listener.next('publish')
  await listener.ping()
  assert.deepEqual(heard(listener), ['4'])
})

test('a will waits for its delay, and is not published when the client is back before', async (t) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', 5)
  await subscribe(listener, ['w', 1])
  const delayed = { ...will, properties: { willDelayInterval: 30 } }
  await cut(world, await join(world, 'd1', 5, { ...lasting(5), will: delayed }))
  world.clock += 29_000
  const back = await join(world, 'd1', 5, { ...lasting(5), will: { ...delayed, payload: Buffer.from('second') } })
  world.clock += 31_000
  await back.ping()
  await cut(world, back)
  await publishAll(listener)
  await listener.ping()
  assert.deepEqual(heard(listener), [])
  world.clock += 31_000
  await listener.next('publish')
  assert.deepEqual(heard(listener), ['second'])
})

test('a delayed will is published when its session ends before the delay', async (t) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', 5)
  await subscribe(listener, ['w', 1])
  const delayed = { ...will, properties: { willDelayInterval: 3000 } }
  await cut(
    world,
    await join(world, 'd1', 5, { clean: true, properties: { sessionExpiryInterval: 10 }, will: delayed }),
  )
  world.clock += 11_000
  await listener.next('publish')
  await until(() => world.broker.sessions().length === 1)
  assert.deepEqual(heard(listener), ['gone'])
})

test('the properties of a will reach its subscribers, user properties in their order', async (t) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', 5)
  await subscribe(listener, ['w', 1])
  const userProperties = { z: ['1', '2'], a: '3' }
  const properties = {
    contentType: 'text/plain',
    responseTopic: 'r',
    correlationData: Buffer.from('c'),
    userProperties,
  }
  await cut(world, await join(world, 'd1', 5, { will: { ...will, properties } }))
  const { properties: received } = await listener.next('publish')
  assert.deepEqual({ ...received, userProperties: { ...received?.userProperties } }, properties)
  assert.deepEqual(Object.keys(received?.userProperties ?? {}), ['z', 'a'])
})

atBothLevels(
  'a will that a takeover sets free leaves its place to the new one only when it is handed on',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const { audit, store } = world
    const away = await join(world, 'd2', level, lasting(level))
    await subscribe(away, ['w', 1])
    await cut(world, away)
    const withWill = (payload: string) => ({ ...lasting(level), will: { ...will, payload: Buffer.from(payload) } })
    await join(world, 'd1', level, withWill('first'))
    const other = await join(world, 'd3', level)

    const append = audit.append.bind(audit)
    t.mock.method(audit, 'append', (event: Parameters<typeof append>[0]) => {
      if (event.event === 'message.publish') audit.hold()
      return append(event)
    })
    const commit = store.commit.bind(store)
    const puts: string[][] = []
    t.mock.method(store, 'commit', (changes: Changes) => {
      puts.push((changes.puts ?? []).map(([key, row]) => key + Buffer.from(row).toString('latin1')))
      return commit(changes)
    })
    const second = await world.raw('d1', {}, level)
    second.send(connectPacket('d1', { protocolVersion: level, ...withWill('second') }))
    await until(() => world.records('message.publish').length === 1)
    await other.ping() // turns enough for a commit
    assert.ok(puts.flat().every((row) => !row.startsWith('broker/will/')))
    assert.equal(second.all('connack').length, 0)

    audit.release()
    await second.next('connack')
    const together = puts.find((rows) => rows.some((row) => row.startsWith('broker/will/d1') && row.includes('second')))
    assert.ok(together?.some((row) => row.startsWith('broker/queue/d2/') && row.includes('first')))
  },
)
