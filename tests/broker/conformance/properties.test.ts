import assert from 'node:assert/strict'
import test from 'node:test'
import { publishPacket, type RawClient } from '../harness.js'
import { field, packetOf } from '../wire/wire.js'
import { cut, heard, join, lasting, makeOpenWorld, publishAll, subscribe } from './peer.js'

/* What MQTT 5 sends beside a message: its properties, its time to live, and aliases for its topic. */

test('the properties of a message reach its subscribers unaltered, live, queued and retained', async (t) => {
  const world = await makeOpenWorld(t)
  const properties = {
    payloadFormatIndicator: true,
    contentType: 'text/plain; charset=utf-8',
    responseTopic: 'replies/\u00e9',
    correlationData: Buffer.from([0, 255, 1]),
    userProperties: { z: ['1', '2'], a: '3', '': 'no name' },
  }
  const here = await join(world, 'd2', 5)
  await subscribe(here, ['t', 1])
  const away = await join(world, 'd3', 5, lasting(5))
  await subscribe(away, ['t', 1, { rh: 2 }])
  await cut(world, away)
  const speaker = await join(world, 'd1', 5)
  await publishAll(speaker, ['t', 'payload', { qos: 1, retain: true, properties }])
  const later = await join(world, 'd4', 5)
  await subscribe(later, ['t', 1])
  for (const client of [here, await join(world, 'd3', 5, lasting(5)), later]) {
    const { properties: received } = await client.next('publish')
    assert.deepEqual({ ...received, userProperties: { ...received?.userProperties } }, properties)
    assert.deepEqual(Object.keys(received?.userProperties ?? {}), ['z', 'a', ''])
  }
})

test('the properties of a message are left out for a subscriber of MQTT 3.1.1', async (t) => {
  const world = await makeOpenWorld(t)
  const [listener, speaker] = [await join(world, 'd2', 4), await join(world, 'd1', 5)]
  await subscribe(listener, ['t', 1])
  await publishAll(speaker, ['t', 'payload', { qos: 1, properties: { contentType: 'x', messageExpiryInterval: 60 } }])
  const message = await listener.next('publish')
  assert.deepEqual([message.payload.toString(), message.properties], ['payload', undefined])
})

test('a response topic with a wildcard ends the connection', async (t) => {
  const world = await makeOpenWorld(t)
  for (const responseTopic of ['a/#', '+']) {
    const client = await join(world, 'd1', 5)
    client.send(publishPacket('t', 'x', { qos: 1, messageId: 1, properties: { responseTopic } }))
    await client.closed
    assert.equal(client.all('puback').length, 0)
  }
})

test('a subscription identifier in a PUBLISH of a client ends the connection', async (t) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', 5)
  client.write(packetOf(0x32, field('t'), 0, 1, 2, 0x0b, 1))
  await client.closed
  assert.equal(client.all('puback').length, 0)
})

test('a message that has expired is not delivered, and one that has not says how long it still has', async (t) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', 5, lasting(5))
  await subscribe(listener, ['t/+', 1, { rh: 2 }])
  await cut(world, listener)
  const speaker = await join(world, 'd1', 5)
  const expires = (messageExpiryInterval: number, more = {}) => ({
    qos: 1,
    properties: { messageExpiryInterval },
    ...more,
  })
  await publishAll(
    speaker,
    ['t/short', 'short', expires(10)],
    ['t/long', 'long', expires(100, { retain: true })],
    ['t/kept', 'short', expires(10, { retain: true })],
    ['t/none', 'for ever', { qos: 1 }],
  )
  world.clock += 30_000
  const back = await join(world, 'd2', 5, lasting(5))
  await back.next('publish', 2)
  await back.ping()
  const later = await join(world, 'd3', 5)
  await subscribe(later, ['t/+', 1])
  await later.next('publish')
  await later.ping()
  const outline = (client: RawClient) =>
    client.all('publish').map(({ payload, properties }) => [payload.toString(), properties?.messageExpiryInterval])
  assert.deepEqual(outline(back), [
    ['long', 70],
    ['for ever', undefined],
  ])
  assert.deepEqual(outline(later), [['long', 70]])
})

test('a message of QoS 2 that was sent before it expired is brought to its end', async (t) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', 5)
  const listener = await join(world, 'd2', 5, lasting(5))
  await subscribe(listener, ['t', 2])
  speaker.send(publishPacket('t', 'begun', { qos: 2, messageId: 3, properties: { messageExpiryInterval: 10 } }))
  await speaker.next('pubrec')
  await listener.next('publish')
  await cut(world, listener)
  world.clock += 20_000
  speaker.send({ cmd: 'pubrel', messageId: 3 })
  assert.equal((await speaker.next('pubcomp')).reasonCode ?? 0, 0)
  const back = await join(world, 'd2', 5, lasting(5))
  const { messageId = 0, dup } = await back.next('publish')
  assert.deepEqual([heard(back), dup], [['begun'], true])
  back.send({ cmd: 'pubrec', messageId })
  await back.next('pubrel')
  back.send({ cmd: 'pubcomp', messageId })
  await back.ping()
})

test('a topic alias stands for its topic on its own connection, up to the maximum that was told', async (t) => {
  const world = await makeOpenWorld(t, { maxTopicAliases: 3 })
  const listener = await join(world, 'd2', 5)
  await subscribe(listener, ['t/+', 1])
  const speaker = await world.raw('d1', {}, 5)
  assert.equal((await speaker.connect('d1')).properties?.topicAliasMaximum, 3)
  const alias = (topic: string, payload: string, topicAlias: number) =>
    publishPacket(topic, payload, { properties: { topicAlias } })
  speaker.send(alias('t/a', '1', 1), alias('t/c', '2', 3), alias('', '3', 1), alias('', '4', 3), alias('t/b', '5', 1))
  speaker.send(alias('', '6', 1))
  await listener.next('publish', 6)
  assert.deepEqual(
    listener.all('publish').map(({ topic, payload }) => `${topic} ${payload.toString()}`),
    ['t/a 1', 't/c 2', 't/a 3', 't/c 4', 't/b 5', 't/b 6'],
  )
  await cut(world, speaker)
  const again = await join(world, 'd1', 5)
  again.send(alias('', 'unknown here', 1))
  await again.closed
  await listener.ping()
  assert.equal(heard(listener).length, 6)
})

test('a topic alias of 0, above the maximum or never set ends the connection', async (t) => {
  const world = await makeOpenWorld(t, { maxTopicAliases: 3 })
  for (const [packet, reason] of [
    [packetOf(0x30, field('t'), 3, 0x23, 0, 0), 0x94],
    [packetOf(0x30, field('t'), 3, 0x23, 0, 4), 0x94],
    [packetOf(0x30, field(''), 3, 0x23, 0, 2), 0x94],
  ] as const) {
    const client = await join(world, 'd1', 5)
    client.write(packet)
    await client.closed
    assert.deepEqual(
      client.all('disconnect').map(({ reasonCode }) => reasonCode),
      [reason],
    )
  }
})

test('a subscriber gets aliases only if it takes them, none above its maximum, and each of them set first', async (t) => {
  const world = await makeOpenWorld(t)
  const plain = await join(world, 'd2', 5)
  const short = await join(world, 'd3', 5, { properties: { topicAliasMaximum: 2 } })
  for (const listener of [plain, short]) await subscribe(listener, ['long/topic/+', 0])
  const speaker = await join(world, 'd1', 5)
  const topics = Array.from({ length: 30 }, (_, n) => `long/topic/${n % 4}`)
  await publishAll(speaker, ...topics.map((topic) => [topic, topic] as const))
  for (const listener of [plain, short]) await listener.next('publish', topics.length)
  assert.ok(plain.all('publish').every(({ topic, properties }) => topic !== '' && !properties?.topicAlias))
  const aliases = new Map<number, string>()
  for (const { topic, payload, properties } of short.all('publish')) {
    const alias = properties?.topicAlias
    if (alias !== undefined) assert.ok(alias >= 1 && alias <= 2)
    if (alias !== undefined && topic !== '') aliases.set(alias, topic)
    assert.equal(topic === '' ? aliases.get(alias ?? 0) : topic, payload.toString())
  }
})
