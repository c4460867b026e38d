import assert from 'node:assert/strict'
import test from 'node:test'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { connectPacket, publishPacket, type RawClient, until } from '../harness.js'
import { field, packetOf } from '../wire/wire.js'
import { atBothLevels, codeOf, heard, join, lasting, makeOpenWorld, publishAll, subscribe } from './peer.js'

/* What the two sides of MQTT 5 ask of each other: how much at once, how large, how much explanation, and how to part. */

test('a subscriber has at most its receive maximum of messages open, and everything else goes on', async (t) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', 5, { properties: { receiveMaximum: 2 } })
  await subscribe(listener, ['t', 2])
  const speaker = await join(world, 'd1', 5)
  await publishAll(speaker, ...['1', '2', '3', '4'].map((payload) => ['t', payload, { qos: 1 }] as const))
  await listener.next('publish', 2)
  await publishAll(speaker, ['t', 'at most once'])
  await subscribe(listener, ['u', 1])
  await listener.ping()
  listener.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['u'] })
  await listener.next('unsuback')
  const open = () => listener.all('publish').filter(({ qos }) => qos > 0)
  assert.deepEqual(
    open().map(({ payload }) => payload.toString()),
    ['1', '2'],
  )
  for (const expected of [3, 4]) {
    listener.send({ cmd: 'puback', messageId: open()[expected - 3]?.messageId ?? 0 })
    await until(() => open().length === expected)
    await listener.ping()
    assert.equal(open().length, expected)
  }
})

test('a message of QoS 2 is open until its PUBCOMP', async (t) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', 5, { properties: { receiveMaximum: 1 } })
  await subscribe(listener, ['t', 2])
  const speaker = await join(world, 'd1', 5)
  speaker.send(publishPacket('t', 'two', { qos: 2, messageId: 1 }))
  await speaker.next('pubrec')
  speaker.send({ cmd: 'pubrel', messageId: 1 })
  const { messageId = 0 } = await listener.next('publish')
  await publishAll(speaker, ['t', 'one', { qos: 1 }])
  listener.send({ cmd: 'pubrec', messageId })
  await listener.next('pubrel')
  await listener.ping()
  assert.deepEqual(heard(listener), ['two'])
  listener.send({ cmd: 'pubcomp', messageId })
  await listener.next('publish', 2)
  assert.deepEqual(heard(listener), ['two', 'one'])
})

test('a publisher that has more open than it was told it may is disconnected', async (t) => {
  const world = await makeOpenWorld(t, { maxReceived: 3 })
  const speaker = await world.raw('d1', {}, 5)
  assert.equal((await speaker.connect('d1')).properties?.receiveMaximum, 3)
  for (const messageId of [1, 2, 3]) speaker.send(publishPacket('t', 'x', { qos: 2, messageId }))
  await speaker.next('pubrec', 3)
  speaker.send(publishPacket('t', 'x', { qos: 2, messageId: 4 }))
  await speaker.closed
  assert.deepEqual(
    speaker.all('disconnect').map(({ reasonCode }) => reasonCode),
    [0x93],
  )
})

test('a packet over what the subscriber takes is not sent, and the messages behind it are', async (t) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', 5, { properties: { sessionExpiryInterval: 60, maximumPacketSize: 60 } })
  await subscribe(listener, ['t', 1])
  const speaker = await join(world, 'd1', 5)
  const long = 'x'.repeat(100)
  const many = { userProperties: { name: 'y'.repeat(60) } }
  await publishAll(
    speaker,
    ['t', long, { qos: 1 }],
    ['t', long],
    ['t', 'p', { qos: 1, properties: many }],
    ['t', 'short', { qos: 1 }],
  )
  const { messageId = 0 } = await listener.next('publish')
  listener.send({ cmd: 'puback', messageId })
  await listener.ping()
  assert.deepEqual(heard(listener), ['short'])
})

test('a packet of exactly what the subscriber takes is sent', async (t) => {
  const world = await makeOpenWorld(t)
  const frame = (payload: string) =>
    mqttPacket.generate(publishPacket('t', payload, { properties: {} }), { protocolVersion: 5 }).length
  const listener = await join(world, 'd2', 5, { properties: { maximumPacketSize: frame('x'.repeat(40)) } })
  await subscribe(listener, ['t', 0])
  const speaker = await join(world, 'd1', 5)
  await publishAll(speaker, ['t', 'x'.repeat(41)], ['t', 'x'.repeat(40)])
  assert.equal((await listener.next('publish')).payload.length, 40)
})

test('a client that takes no packet as large as its CONNACK is not let in, and told so where it can be', async (t) => {
  const world = await makeOpenWorld(t)
  const owner = await join(world, 'd1', 5)
  for (const [maximumPacketSize, told] of [
    [4, []],
    [5, [0x95]],
    [12, [0x95]],
  ] as const) {
    const client = await world.raw('d1', {}, 5)
    client.send(connectPacket('d1', { protocolVersion: 5, properties: { maximumPacketSize } }))
    await client.closed
    assert.deepEqual(client.all('connack').map(codeOf), told)
  }
  await owner.ping()
  assert.equal(world.broker.sessions().length, 1)
  await join(world, 'd2', 5, { properties: { maximumPacketSize: 40 } })
})

/** Everything that can be explained: a denied subscription, publishes, and a topic that ends the connection. */
async function provoke(client: RawClient): Promise<readonly Packet[]> {
  client.send(
    { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'denied/x', qos: 1 }] },
    publishPacket('denied/x', 'x', { qos: 1, messageId: 2 }),
    publishPacket('denied/x', 'x', { qos: 2, messageId: 3 }),
    { cmd: 'pubrel', messageId: 99 },
    { cmd: 'unsubscribe', messageId: 4, unsubscriptions: ['never/there'] },
  )
  for (const cmd of ['suback', 'puback', 'pubrec', 'pubcomp', 'unsuback'] as const) await client.next(cmd)
  client.write(packetOf(0x30, field('a/#'), 0))
  await client.closed
  return client.received
}

function isExplained(packet: Packet): boolean {
  return 'properties' in packet && packet.properties !== undefined && 'reasonString' in packet.properties
}

test('acknowledgements have the reason code of what happened, and say why only to those who want to know', async (t) => {
  const world = await makeOpenWorld(t)
  const told = await provoke(await join(world, 'd1', 5))
  const untold = await provoke(await join(world, 'd2', 5, { properties: { requestProblemInformation: false } }))
  for (const received of [told, untold]) {
    const codes = received
      .toSorted((one, other) => one.cmd.localeCompare(other.cmd))
      .map((packet) => {
        if ('granted' in packet) return [packet.cmd, ...packet.granted]
        return [packet.cmd, 'reasonCode' in packet ? packet.reasonCode : undefined]
      })
    assert.deepEqual(codes, [
      ['connack', 0],
      ['disconnect', 0x90],
      ['puback', 0x87],
      ['pubcomp', 0x92],
      ['pubrec', 0x87],
      ['suback', 0x87],
      ['unsuback', 0x11],
    ])
  }
  const explained = told.filter(isExplained).map(({ cmd }) => cmd)
  for (const cmd of ['suback', 'puback', 'pubrec'] as const) assert.ok(explained.includes(cmd), cmd)
  assert.deepEqual(
    untold.filter(isExplained).filter(({ cmd }) => cmd !== 'connack' && cmd !== 'disconnect'),
    [],
  )
})

test('an explanation that would make a packet too large is left out', async (t) => {
  const world = await makeOpenWorld(t)
  const packets = await provoke(await join(world, 'd1', 5, { properties: { maximumPacketSize: 24 } }))
  assert.equal(packets.length, 7)
  assert.deepEqual(
    packets.filter((packet) => isExplained(packet) && packet.cmd !== 'connack'),
    [],
  )
  const refused = await world.raw('d1', {}, 5)
  const connack = await refused.connect('d2', { properties: { maximumPacketSize: 24 } })
  assert.deepEqual([connack.reasonCode, isExplained(connack)], [0x85, false])
})

test('no response information is sent, asked for or not', async (t) => {
  const world = await makeOpenWorld(t)
  for (const requestResponseInformation of [true, false]) {
    const client = await world.raw('d1', {}, 5)
    const { properties } = await client.connect('d1', { properties: { requestResponseInformation } })
    assert.equal(properties?.responseInformation, undefined)
  }
})

test('DISCONNECT of the service says why, has no session expiry, and is the last packet', async (t) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', 5, lasting(5))
  await subscribe(listener, ['t', 1])
  const speaker = await join(world, 'd1', 5)
  const young = join(world, 'd2', 5, lasting(5))
  speaker.send(...Array.from({ length: 50 }, (_, n) => publishPacket('t', 'x', { qos: 1, messageId: n + 1 })))
  await young
  await listener.closed
  const last = listener.received.at(-1)
  assert.ok(last?.cmd === 'disconnect')
  assert.deepEqual([last.reasonCode, last.properties?.sessionExpiryInterval], [0x8e, undefined])
  assert.equal(listener.all('disconnect').length, 1)
})

test('DISCONNECT can shorten or lengthen how long the session is kept, but not begin to keep one', async (t) => {
  const world = await makeOpenWorld(t)
  const ended = await join(world, 'd1', 5, lasting(5))
  ended.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } })
  await ended.closed
  assert.equal((await (await world.raw('d1', {}, 5)).connect('d1', lasting(5))).sessionPresent, false)
  const short = await join(world, 'd2', 5, { clean: false })
  short.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 60 } })
  await short.closed
  assert.deepEqual(
    short.all('disconnect').map(({ reasonCode }) => reasonCode),
    [0x82],
  )
  const longer = await join(world, 'd3', 5, { clean: false, properties: { sessionExpiryInterval: 1 } })
  longer.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 600 } })
  await longer.closed
  world.clock += 300_000
  assert.equal((await (await world.raw('d3', {}, 5)).connect('d3', lasting(5))).sessionPresent, true)
})

atBothLevels('a session is not given up while its connection is there', async (t, level) => {
  const world = await makeOpenWorld(t, { sessionExpirySeconds: 1 })
  const client = await join(world, 'd1', level, lasting(level))
  await subscribe(client, ['t', 1])
  for (let second = 0; second < 5; second++) {
    world.clock += 1000
    await client.ping()
  }
  await publishAll(client, ['t', 'still there', { qos: 1 }])
  await client.next('publish')
})
