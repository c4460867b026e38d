import assert from 'node:assert/strict'
import test from 'node:test'
import { cut, heard, join, lasting, makeOpenWorld, publishAll, subscribe } from '../conformance/peer.js'
import { publishPacket, subscribePacket, until } from '../harness.js'

/* Attack cases 13, 65 and what one greedy client can make the service hold. */

test('who asks and does not read the answers is not read either, until it does', async (t) => {
  const world = await makeOpenWorld(t, { maxAnswers: 100 })
  const [greedy, other] = [await join(world, 'd1', 5), await join(world, 'd2', 5)]
  let answered = 0
  greedy.socket.removeAllListeners('data').on('data', (chunk: Buffer) => (answered += chunk.length))
  greedy.socket.pause()
  const pings = Buffer.alloc(20 * 1024 * 1024, Buffer.from([0xc0, 0])) // far more than the buffers of both sockets hold
  greedy.write(pings)
  const taken = () => world.broker.sessions().find(({ clientId }) => clientId === 'd1')?.bytes.in ?? 0
  let before = -1
  while (taken() > before) {
    before = taken()
    for (let turn = 0; turn < 50; turn++) await other.ping()
  }
  assert.ok(taken() < pings.length)
  greedy.socket.resume()
  await until(() => answered > before + 1024 * 1024) // it goes on where it was
  assert.deepEqual(world.records('session.end'), [])
})

test('a new subscription is owed each retained message once, however often it is asked for and however slowly it is taken', async (t) => {
  const world = await makeOpenWorld(t, { maxInflight: 1 })
  const [speaker, client] = [await join(world, 'd1', 5), await join(world, 'd2', 5, lasting(5))]
  await publishAll(speaker, ...[1, 2, 3].map((at) => [`t/${at}`, `kept ${at}`, { qos: 1, retain: true }] as const))
  for (let nth = 1; nth <= 5; nth++) {
    client.send(subscribePacket(nth, ...Array.from({ length: 100 }, () => ['t/#', 1] as const)))
  }
  await client.next('suback', 5)
  for (let nth = 1; nth <= 4; nth++)
    client.send({ cmd: 'puback', messageId: (await client.next('publish', nth)).messageId ?? 0 })
  await client.ping()
  assert.deepEqual([...new Set(heard(client))], ['kept 1', 'kept 2', 'kept 3'])
  assert.ok(heard(client).length <= 8)
})

test('retained messages are handed out over several turns, those that the client may not hear too', async (t) => {
  const world = await makeOpenWorld(t)
  const [speaker, client] = [await join(world, 'd1', 5), await join(world, 'd2', 5)]
  const kept = Array.from({ length: 900 }, (_, at) => [`t/${at}`, `${at}`, { qos: 1, retain: true }] as const)
  await publishAll(speaker, ...kept)
  await subscribe(client, ['t/#', 0], ['t/+', 0])
  await client.next('publish', 2 * kept.length)
  await client.ping()
  assert.deepEqual([heard(client).length, new Set(heard(client)).size], [2 * kept.length, kept.length])
})

test('retained messages that a lost client was still owed wait for it within its bounds, or cost it its session', async (t) => {
  const world = await makeOpenWorld(t, { maxInflight: 1, maxQueued: 10 })
  const speaker = await join(world, 'd1', 5)
  const publish = (count: number) =>
    publishAll(
      speaker,
      ...Array.from({ length: count }, (_, at) => [`t/${at}`, 'x', { qos: 1, retain: true }] as const),
    )
  await publish(8)
  const patient = await join(world, 'd2', 5, lasting(5))
  await subscribe(patient, ['t/#', 1])
  await patient.next('publish')
  patient.socket.destroy()
  await until(() => world.broker.sessions().some(({ clientId, queued }) => clientId === 'd2' && queued === 8))
  await publish(30)
  const owed = await join(world, 'd3', 5, lasting(5))
  await subscribe(owed, ['t/#', 1])
  await owed.next('publish')
  owed.socket.destroy()
  await until(() => world.broker.sessions().every(({ clientId }) => clientId !== 'd3'))
  const ends = world.records('session.end').filter(({ device }) => device === 'd3')
  assert.deepEqual(
    ends.map(({ reason }) => reason),
    ['quota'],
  )
  await world.restart() // the store has followed
  for await (const [key] of world.store.entries('broker/')) assert.ok(!key.includes('/d3'), key)
})

for (const meanwhile of ['the client comes back', 'the service ends'] as const) {
  test(`retained messages that a lost client was still owed are kept over several turns, all of them when ${meanwhile}`, async (t) => {
    const world = await makeOpenWorld(t, { maxInflight: 1 })
    const speaker = await join(world, 'd1', 5)
    const kept = Array.from({ length: 900 }, (_, at) => [`t/${at}`, `${at}`, { qos: 1, retain: true }] as const)
    await publishAll(speaker, ...kept)
    const owed = await join(world, 'd2', 5, lasting(5))
    await subscribe(owed, ['t/#', 1])
    await owed.next('publish')
    const { audit } = world
    const append = audit.append.bind(audit)
    let keptAtOnce = 0
    t.mock.method(audit, 'append', (event: Parameters<typeof append>[0]) => {
      if (event.event === 'session.end' && event.device === 'd2') {
        keptAtOnce = world.broker.sessions().find(({ clientId }) => clientId === 'd2')?.queued ?? 0
      }
      return append(event)
    })
    await cut(world, owed)
    if (meanwhile === 'the service ends') await world.restart()
    assert.ok(keptAtOnce > 0 && keptAtOnce < 400, `${keptAtOnce} in one turn`)
    const back = await join(world, 'd2', 5, lasting(5))
    for (let nth = 1; nth <= kept.length; nth++) {
      back.send({ cmd: 'puback', messageId: (await back.next('publish', nth)).messageId ?? 0 })
    }
    await back.ping()
    assert.deepEqual([heard(back).length, new Set(heard(back)).size], [kept.length, kept.length])
  })
}

test('what waits for all sessions together is bounded: the one that holds most is ended, counted, and the others lose nothing', async (t) => {
  const world = await makeOpenWorld(t, { maxHeldBytes: 100_000, maxInflight: 1 })
  const speaker = await join(world, 'd1', 5)
  const silent = await join(world, 'd2', 5) // acknowledges nothing
  await subscribe(silent, ['big/#', 1])
  const small = await join(world, 'd3', 5, lasting(5))
  await subscribe(small, ['small', 1])
  await cut(world, small)
  const publish = (topic: string, bytes: number) => publishAll(speaker, [topic, 'x'.repeat(bytes), { qos: 1 }])

  await publish('small', 10)
  for (const topic of ['big/1', 'big/2', 'big/3']) await publish(topic, 30_000)
  assert.equal(silent.all('publish').length, 1)
  await publish('big/4', 30_000)
  await silent.closed
  assert.equal((await silent.next('disconnect')).reasonCode, 0x97)
  const drops = () => world.records('message.drop').map(({ device, reason, count }) => [device, reason, count])
  assert.deepEqual(drops(), [['d2', 'queue_full', 4]])
  assert.deepEqual([...world.broker.statistics.drops], [['queue_full', 4]])

  const again = await join(world, 'd2', 5, lasting(5)) // what it held is room again
  await subscribe(again, ['big/#', 1])
  for (const topic of ['big/1', 'big/2', 'big/3']) await publish(topic, 30_000)
  await cut(world, again)
  assert.equal(drops().length, 1)
  const back = await join(world, 'd3', 5, lasting(5))
  await back.next('publish')
  assert.deepEqual(heard(back), ['x'.repeat(10)])
})

test('a start that finds more than may wait ends the sessions that hold most of it', async (t) => {
  const limits = { maxHeldBytes: 100_000 }
  const world = await makeOpenWorld(t, limits)
  const speaker = await join(world, 'd1', 5)
  for (const [id, topic] of [
    ['d2', 'big'],
    ['d3', 'small'],
  ] as const) {
    const client = await join(world, id, 5, lasting(5))
    await subscribe(client, [topic, 1])
    await cut(world, client)
  }
  await publishAll(speaker, ['small', 'x', { qos: 1 }], ['big', 'x'.repeat(60_000), { qos: 1 }])
  limits.maxHeldBytes = 10_000
  await world.restart()
  await until(() => world.broker.sessions().every(({ clientId }) => clientId !== 'd2'))
  const again = await join(world, 'd3', 5, lasting(5))
  await again.next('publish')
  assert.deepEqual(heard(again), ['x'])
})

test('properties count: a message of nothing else is held to the bounds of queue and retained messages', async (t) => {
  const world = await makeOpenWorld(t, { maxQueuedBytes: 300_000, maxRetainedBytesPerDevice: 100_000 })
  const [away, speaker] = [await join(world, 'd2', 5, lasting(5)), await join(world, 'd1', 5)]
  await subscribe(away, ['t/#', 1])
  away.send({ cmd: 'disconnect' })
  await away.closed
  const properties = { correlationData: Buffer.alloc(60_000), contentType: 'x'.repeat(30_000) }
  for (let nth = 1; nth <= 4; nth++) speaker.send(publishPacket('t/x', 'x', { qos: 1, messageId: nth, properties }))
  await speaker.next('puback', 4)
  await until(() => world.broker.sessions().every(({ clientId }) => clientId !== 'd2'))
  const retained = (messageId: number) =>
    publishPacket(`u/${messageId}`, 'x', { qos: 1, messageId, retain: true, properties })
  speaker.send(retained(5), retained(6))
  await speaker.next('puback', 6)
  assert.deepEqual(
    speaker
      .all('puback')
      .slice(4)
      .map(({ reasonCode }) => Number(reasonCode) < 0x80),
    [true, false],
  )
})

test('as many aliases as a client takes are given out only as far as our own bound', async (t) => {
  const world = await makeOpenWorld(t, { maxTopicAliases: 3 })
  const [client, speaker] = [
    await join(world, 'd2', 5, { properties: { topicAliasMaximum: 65_535 } }),
    await join(world, 'd1', 5),
  ]
  await subscribe(client, ['t/#', 1])
  await publishAll(speaker, ...[1, 2, 3, 4, 5].map((at) => [`t/${at}`, 'x', { qos: 1 }] as const))
  await client.next('publish', 5)
  assert.deepEqual(
    client.all('publish').map(({ properties }) => properties?.topicAlias),
    [1, 2, 3, undefined, undefined],
  )
})

test('repeated QoS 2 messages and releases that wait for a slow disk hold their own client only', async (t) => {
  const world = await makeOpenWorld(t, { maxWaiting: 50 })
  const client = await join(world, 'd1', 5)
  world.audit.hold()
  const publish = publishPacket('t/x', 'x', { qos: 2, messageId: 1, dup: true })
  client.send(...Array.from({ length: 100_000 }, () => publish))
  await until(() => world.records('message.publish').length === 1)
  const taken = () => world.broker.sessions().find(({ clientId }) => clientId === 'd1')?.messages.in ?? 0
  await until(() => taken() === 50)
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(taken(), 50)
  world.audit.release()
  await client.next('pubrec', 1000)
})

test('an UNSUBSCRIBE from nothing is answered and leaves no record, however many filters it names', async (t) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', 5)
  await subscribe(client, ['a', 0])
  const unsubscriptions = Array.from({ length: 1000 }, (_, at) => (at % 2 === 0 ? 'a' : `b/${at}`))
  client.send({ cmd: 'unsubscribe', messageId: 7, unsubscriptions })
  const { granted = [] } = await client.next('unsuback')
  assert.deepEqual([granted.length, ...new Set(granted)], [1000, 0, 0x11])
  assert.deepEqual(
    world.records('message.unsubscribe').map(({ topic }) => topic),
    ['a'],
  )
})
