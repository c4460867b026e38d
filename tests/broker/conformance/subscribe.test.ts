import assert from 'node:assert/strict'
import test from 'node:test'
import { publishPacket } from '../harness.js'
import { atBothLevels, cut, heard, join, lasting, makeOpenWorld, publishAll, subscribe } from './peer.js'

/* SUBSCRIBE and UNSUBSCRIBE, and which messages a subscription brings. */

atBothLevels('SUBACK has the identifier of its SUBSCRIBE and a code for each filter, in order', async (t, level) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', level)
  client.send({
    cmd: 'subscribe',
    messageId: 77,
    subscriptions: [
      { topic: 'a', qos: 2 },
      { topic: 'denied/x', qos: 1 },
      { topic: 'b/#', qos: 0 },
      { topic: '+/c', qos: 1 },
    ],
  })
  const { messageId, granted } = await client.next('suback')
  assert.deepEqual([messageId, granted], [77, [2, level === 4 ? 0x80 : 0x87, 0, 1]])
  await publishAll(client, ['a', '1'], ['b', '2'], ['b/x', '3'], ['x/c', '4'])
  await client.next('publish', 4)
  assert.deepEqual(heard(client), ['1', '2', '3', '4'])
})

atBothLevels(
  'a message comes at the lower of the QoS it was published with and the one that was granted',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const speaker = await join(world, 'd1', level)
    const listener = await join(world, 'd2', level)
    await subscribe(listener, ['t/0', 0], ['t/1', 1], ['t/2', 2])
    for (const [at, topic] of ['t/0', 't/1', 't/2'].entries()) {
      speaker.send(
        publishPacket(topic, '0'),
        publishPacket(topic, '1', { qos: 1, messageId: 10 + at }),
        publishPacket(topic, '2', { qos: 2, messageId: 20 + at }),
      )
      await speaker.next('pubrec', at + 1)
      speaker.send({ cmd: 'pubrel', messageId: 20 + at })
      await speaker.next('pubcomp', at + 1)
    }
    await listener.next('publish', 9)
    assert.deepEqual(
      listener.all('publish').map(({ topic, payload, qos }) => `${topic} ${payload.toString()} ${qos}`),
      ['t/0 0 0', 't/0 1 0', 't/0 2 0', 't/1 0 0', 't/1 1 1', 't/1 2 1', 't/2 0 0', 't/2 1 1', 't/2 2 2'],
    )
  },
)

atBothLevels('overlapping subscriptions bring a message once, at the highest QoS', async (t, level) => {
  const world = await makeOpenWorld(t)
  const [listener, speaker] = [await join(world, 'd2', level), await join(world, 'd1', level)]
  await subscribe(listener, ['t/#', 0], ['t/+', 1], ['t/a', 0])
  await publishAll(speaker, ['t/a', 'x', { qos: 1 }])
  assert.equal((await listener.next('publish')).qos, 1)
  await listener.ping()
  assert.equal(listener.all('publish').length, 1)
})

atBothLevels('a repeated filter takes the place of the subscription before', async (t, level) => {
  const world = await makeOpenWorld(t)
  const [listener, speaker] = [await join(world, 'd2', level), await join(world, 'd1', level)]
  await subscribe(listener, ['t', 1])
  await subscribe(listener, ['t', 0])
  await publishAll(speaker, ['t', 'x', { qos: 1 }])
  assert.equal((await listener.next('publish')).qos, 0)
  await listener.ping()
  assert.equal(listener.all('publish').length, 1)
})

atBothLevels('a filter that begins with a wildcard brings no topic that begins with $', async (t, level) => {
  const world = await makeOpenWorld(t)
  const [listener, speaker] = [await join(world, 'd2', level), await join(world, 'd1', level)]
  await subscribe(listener, ['#', 1], ['+/x', 1], ['+', 1])
  const named = await join(world, 'd3', level)
  await subscribe(named, ['$data/#', 1])
  await publishAll(speaker, ['$data/x', 'hidden', { qos: 1 }])
  await named.next('publish')
  await listener.ping()
  assert.deepEqual(heard(listener), ['x']) // the one that publishAll ends with
})

atBothLevels(
  'UNSUBSCRIBE removes exactly the filters it names, and is answered once whatever there was',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const [listener, speaker] = [await join(world, 'd2', level), await join(world, 'd1', level)]
    await subscribe(listener, ['t/+', 1], ['t/a', 1], ['u/#', 1])
    listener.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['t/+', 'never/there', 'u/x', 'U/#'] })
    assert.equal((await listener.next('unsuback')).messageId, 9)
    await publishAll(speaker, ['t/b', 'gone', { qos: 1 }], ['t/a', 'kept', { qos: 1 }], ['u/x', 'kept', { qos: 1 }])
    listener.send({ cmd: 'unsubscribe', messageId: 10, unsubscriptions: ['t/a', 'u/#'] })
    assert.equal((await listener.next('unsuback', 2)).messageId, 10)
    await publishAll(speaker, ['t/a', 'gone', { qos: 1 }], ['u/x', 'gone', { qos: 1 }])
    await listener.ping()
    assert.deepEqual(heard(listener), ['kept', 'kept'])
    assert.equal(listener.all('unsuback').length, 2)
  },
)

atBothLevels('what had begun to be delivered is completed after UNSUBSCRIBE', async (t, level) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', level)
  const listener = await join(world, 'd2', level, lasting(level))
  await subscribe(listener, ['t', 1])
  await publishAll(speaker, ['t', 'begun', { qos: 1 }])
  const { messageId } = await listener.next('publish')
  listener.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['t'] })
  await listener.next('unsuback')
  await cut(world, listener)
  const back = await join(world, 'd2', level, lasting(level))
  assert.deepEqual([(await back.next('publish')).messageId, heard(back)], [messageId, ['begun']])
})

test('UNSUBACK says of each filter, in order, whether there was such a subscription', async (t) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', 5)
  await subscribe(client, ['a', 1], ['b', 1])
  client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['a', 'never', 'b', 'a'] })
  assert.deepEqual((await client.next('unsuback')).granted, [0, 0x11, 0, 0x11])
})

test('with no-local a client gets nothing back that it has published itself, whichever connection that was', async (t) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', 5, lasting(5))
  await subscribe(client, ['t', 1, { nl: true }])
  await publishAll(client, ['t', 'own', { qos: 1 }])
  const other = await join(world, 'd2', 5)
  await publishAll(other, ['t', 'foreign', { qos: 1 }])
  await client.next('publish')
  client.send({ cmd: 'puback', messageId: client.all('publish')[0]?.messageId ?? 0 })
  await client.ping()
  await cut(world, client)
  const back = await join(world, 'd1', 5, lasting(5))
  await publishAll(back, ['t', 'own again', { qos: 1 }])
  await back.ping()
  assert.deepEqual([...heard(client), ...heard(back)], ['foreign'])
})

test('all identifiers of the subscriptions that match come with a message', async (t) => {
  const world = await makeOpenWorld(t)
  const [listener, speaker] = [await join(world, 'd2', 5), await join(world, 'd1', 5)]
  const filters = [
    ['t/#', 7],
    ['t/a', 300],
    ['+/a', undefined],
    ['u', 9],
  ] as const
  for (const [at, [topic, identifier]] of filters.entries()) {
    const properties = identifier === undefined ? {} : { subscriptionIdentifier: identifier }
    listener.send({ cmd: 'subscribe', messageId: at + 1, subscriptions: [{ topic, qos: 1 }], properties })
  }
  await listener.next('suback', filters.length)
  await publishAll(speaker, ['t/a', 'two', { qos: 1 }], ['x/a', 'none', { qos: 1 }], ['u', 'one'])
  await listener.next('publish', 3)
  const identifiers = listener.all('publish').map(({ properties }) => [properties?.subscriptionIdentifier ?? []].flat())
  assert.deepEqual(
    identifiers.map((list) => list.toSorted((one, other) => one - other)),
    [[7, 300], [], [9]],
  )
})
