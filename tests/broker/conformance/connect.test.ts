import assert from 'node:assert/strict'
import test from 'node:test'
import { connectPacket, publishPacket, until } from '../harness.js'
import { bytes, connectOf, field, packetOf } from '../wire/wire.js'
import {
  atBothLevels,
  codeOf,
  cut,
  heard,
  join,
  lasting,
  type Level,
  makeOpenWorld,
  publishAll,
  subscribe,
} from './peer.js'

/* CONNECT and CONNACK: what is accepted, what is refused, and which session answers. */

const none = (level: Level) => (level === 5 ? [0] : [])

atBothLevels('nothing is served before CONNECT', async (t, level) => {
  const world = await makeOpenWorld(t)
  for (const packet of [packetOf(0xc0), packetOf(0x32, field('t'), 0, 1, none(level)), packetOf(0xe0)]) {
    const client = await world.raw('d1', {}, level)
    client.write(packet)
    await client.closed
    assert.deepEqual(client.received, [])
  }
})

atBothLevels('a second CONNECT ends the connection', async (t, level) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', level)
  client.send(connectPacket('d1', { protocolVersion: level }), publishPacket('t', 'x', { qos: 1, messageId: 1 }))
  await client.closed
  assert.equal(client.all('connack').length, 1)
  assert.equal(client.all('puback').length, 0)
})

test('another protocol name is not served', async (t) => {
  const world = await makeOpenWorld(t)
  const client = await world.raw('d1')
  client.write(packetOf(0x10, field('MQTX'), 4, 2, 0, 60, field('d1')))
  await client.closed
  assert.deepEqual(client.received, [])
})

test('a protocol level that is not spoken is answered so, and the connection is closed', async (t) => {
  const world = await makeOpenWorld(t)
  const older = await world.raw('d1')
  older.write(connectOf(3, 2, field('d1')))
  assert.equal((await older.next('connack')).returnCode, 1)
  await older.closed
  const newer = await world.raw('d1')
  newer.write(connectOf(6, 2, 0, field('d1')))
  await newer.closed
  assert.equal(newer.received.length, newer.all('connack').length)
})

atBothLevels('a CONNECT whose flags and fields disagree is closed without being served', async (t, level) => {
  const world = await makeOpenWorld(t)
  const will = [none(level), field('w'), field('x')]
  for (const [what, packet] of Object.entries({
    'the reserved flag': connectOf(level, 0x03, none(level), field('d1')),
    'no client id': connectOf(level, 0x02, none(level)),
    'a will flag and no will': connectOf(level, 0x06, none(level), field('d1')),
    'a will and no will flag': connectOf(level, 0x02, none(level), field('d1'), ...will),
    'will QoS and no will': connectOf(level, 0x0a, none(level), field('d1')),
    'will retain and no will': connectOf(level, 0x22, none(level), field('d1')),
    'will QoS 3': connectOf(level, 0x1e, none(level), field('d1'), ...will),
    'a user name and no flag for it': connectOf(level, 0x02, none(level), field('d1'), field('u')),
    'a user name flag and none': connectOf(level, 0x82, none(level), field('d1')),
    'a password and no flag for it': connectOf(level, 0x82, none(level), field('d1'), field('u'), field('p')),
    'a password flag and none': connectOf(level, 0xc2, none(level), field('d1'), field('u')),
  })) {
    const client = await world.raw('d1', {}, level)
    client.write(packet)
    await client.closed
    const answers = client.received.map((answer) => (answer.cmd === 'connack' ? codeOf(answer) : answer.cmd))
    if (level === 4) assert.deepEqual(answers, [], what)
    else assert.ok(answers.length === 0 || (answers.length === 1 && Number(answers[0]) >= 0x80), what)
  }
  assert.deepEqual(world.broker.sessions(), [])
})

test('a password without a user name closes the connection in MQTT 3.1.1', async (t) => {
  const world = await makeOpenWorld(t)
  const client = await world.raw('d1')
  client.write(connectOf(4, 0x42, field('d1'), field('p')))
  await client.closed
  assert.deepEqual(client.received, [])
})

atBothLevels('CONNACK is the first packet and comes once', async (t, level) => {
  const world = await makeOpenWorld(t)
  const client = await world.raw('d1', {}, level)
  client.send(
    connectPacket('d1', { protocolVersion: level }),
    { cmd: 'pingreq' },
    publishPacket('t', 'x', { qos: 1, messageId: 1 }),
  )
  await client.next('puback')
  assert.equal(client.received[0]?.cmd, 'connack')
  assert.equal(codeOf(await client.next('connack')), 0)
  await client.ping()
  assert.equal(client.all('connack').length, 1)
})

atBothLevels('the flags of CONNACK are 0 but for session present', async (t, level) => {
  const world = await makeOpenWorld(t)
  const client = await world.raw('d1', {}, level)
  const chunks: Buffer[] = []
  client.socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await client.connect('d1')
  const [type, , flags] = Buffer.concat(chunks)
  assert.deepEqual([type, flags], [0x20, 0])
})

atBothLevels('a client id of 1 to 23 letters and digits is taken from the device that it names', async (t, level) => {
  const world = await makeOpenWorld(t)
  for (const id of ['a', '0', 'ABCDEFGHIJKLMNOPQRSTUVW', 'xyz0123456789abcdefghij']) await join(world, id, level)
})

atBothLevels(
  'an empty client id, or that of another device, is refused and the connection is closed',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    for (const [clientId, flags] of [
      ['', 0x02],
      ['', 0x00],
      ['d2', 0x02],
    ] as const) {
      const client = await world.raw('d1', {}, level)
      client.write(
        bytes(connectOf(level, flags, none(level), field(clientId)), packetOf(0x30, field('t'), none(level))),
      )
      const connack = await client.next('connack')
      assert.deepEqual([codeOf(connack), connack.sessionPresent], [level === 4 ? 2 : 0x85, false])
      await client.closed
      assert.equal(client.received.length, 1)
    }
    assert.equal(world.records('message.publish').length, 0)
  },
)

atBothLevels(
  'a refused CONNECT finds no session present, though there is one, and ends the connection',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const before = await join(world, 'd1', level, lasting(level))
    await cut(world, before)
    const client = await world.raw('d1', {}, level)
    const will = { topic: 'denied/x', payload: Buffer.from('x'), qos: 0, retain: false } as const
    client.send(connectPacket('d1', { protocolVersion: level, ...lasting(level), will }), publishPacket('t', 'x'))
    const connack = await client.next('connack')
    assert.deepEqual([codeOf(connack), connack.sessionPresent], [level === 4 ? 5 : 0x87, false])
    await client.closed
    assert.equal(client.received.length, 1)
    assert.equal(world.records('message.publish').length, 0)
  },
)

atBothLevels('a client id that connects again takes over from its older connection', async (t, level) => {
  const world = await makeOpenWorld(t)
  const old = await join(world, 'd1', level)
  const young = await join(world, 'd1', level)
  await old.closed
  assert.deepEqual(
    old.all('disconnect').map(({ reasonCode }) => reasonCode),
    level === 4 ? [] : [0x8e],
  )
  await young.ping()
})

atBothLevels('a clean start finds nothing of the session before', async (t, level) => {
  const world = await makeOpenWorld(t)
  const before = await join(world, 'd1', level, lasting(level))
  await subscribe(before, ['t', 1])
  await cut(world, before)
  const speaker = await join(world, 'd2', level)
  await publishAll(speaker, ['t', 'missed', { qos: 1 }])
  const fresh = await world.raw('d1', {}, level)
  assert.equal((await fresh.connect('d1', { clean: true })).sessionPresent, false)
  await publishAll(speaker, ['t', 'live', { qos: 1 }])
  await fresh.ping()
  assert.deepEqual(heard(fresh), [])
  await cut(world, fresh)
  const again = await world.raw('d1', {}, level)
  assert.equal((await again.connect('d1', lasting(level))).sessionPresent, false)
  await again.ping()
  assert.deepEqual(heard(again), [])
})

atBothLevels('a session that lasts is found by its client id alone, with what has come meanwhile', async (t, level) => {
  const world = await makeOpenWorld(t)
  const before = await world.raw('d1', {}, level)
  assert.equal((await before.connect('d1~a', lasting(level))).sessionPresent, false)
  await subscribe(before, ['t', 2])
  await cut(world, before)
  const speaker = await join(world, 'd2', level)
  await publishAll(speaker, ['t', 'one', { qos: 1 }])
  speaker.send(publishPacket('t', 'two', { qos: 2, messageId: 5 }))
  await speaker.next('pubrec')
  speaker.send({ cmd: 'pubrel', messageId: 5 })
  await speaker.next('pubcomp')
  const other = await world.raw('d1', {}, level)
  assert.equal((await other.connect('d1~b', lasting(level))).sessionPresent, false)
  const back = await world.raw('d1', {}, level)
  assert.equal((await back.connect('d1~a', lasting(level))).sessionPresent, true)
  await back.next('publish', 2)
  assert.deepEqual(heard(back), ['one', 'two'])
  await other.ping()
  assert.deepEqual(heard(other), [])
})

atBothLevels('retained messages outlive the session of their publisher', async (t, level) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', level)
  await publishAll(speaker, ['t', 'kept', { qos: 1, retain: true }])
  await cut(world, speaker)
  const listener = await join(world, 'd2', level)
  await subscribe(listener, ['t', 1])
  await listener.next('publish')
  assert.deepEqual(heard(listener), ['kept'])
})

atBothLevels('a client that is silent for one and a half times its keep alive is gone', async (t, level) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', level)
  await subscribe(listener, ['w', 1])
  const will = { topic: 'w', payload: Buffer.from('gone'), qos: 1, retain: false } as const
  const client = await join(world, 'd1', level, { keepalive: 10, will })
  world.clock += 14_000
  await client.ping()
  world.clock += 16_000
  await client.closed
  await listener.next('publish')
  assert.deepEqual(heard(listener), ['gone'])
  assert.deepEqual(
    client.all('disconnect').map(({ reasonCode }) => reasonCode),
    level === 4 ? [] : [0x8d],
  )
})

test('a keep alive that is longer than allowed is answered with the one that counts; another is taken as it is', async (t) => {
  const world = await makeOpenWorld(t, { maxKeepAliveSeconds: 100 })
  const patient = await world.raw('d1', {}, 5)
  assert.equal((await patient.connect('d1', { keepalive: 1000 })).properties?.serverKeepAlive, 100)
  const usual = await world.raw('d2', {}, 5)
  assert.equal((await usual.connect('d2', { keepalive: 60 })).properties?.serverKeepAlive, undefined)
})

test('a session is kept for its expiry interval after its connection, and not longer', async (t) => {
  const world = await makeOpenWorld(t)
  const session = { clean: false, properties: { sessionExpiryInterval: 60 } } as const
  const first = await join(world, 'd1', 5, session)
  world.clock += 61_000
  await first.ping()
  assert.equal(world.broker.sessions().length, 1)
  await cut(world, first)
  world.clock += 59_000
  const second = await world.raw('d1', {}, 5)
  assert.equal((await second.connect('d1', session)).sessionPresent, true)
  await cut(world, second)
  world.clock += 61_000
  await until(() => world.broker.sessions().length === 0)
  const third = await world.raw('d1', {}, 5)
  assert.equal((await third.connect('d1', session)).sessionPresent, false)
})

test('a session whose time is over is not found, however seldom the service looks for such', async (t) => {
  const world = await makeOpenWorld(t, { sweepMilliseconds: 60_000 })
  const session = { clean: false, properties: { sessionExpiryInterval: 1 } } as const
  const first = await join(world, 'd1', 5, session)
  await subscribe(first, ['t', 1])
  await cut(world, first)
  world.clock += 1_001
  const second = await world.raw('d1', {}, 5)
  assert.equal((await second.connect('d1', session)).sessionPresent, false)
  assert.deepEqual(
    world.broker.sessions().map(({ subscriptions }) => subscriptions),
    [[]],
  )
})

test('an authentication method is refused, for there is none, and none is ever asked for', async (t) => {
  const world = await makeOpenWorld(t)
  const client = await world.raw('d1', {}, 5)
  const connack = await client.connect('d1', { properties: { authenticationMethod: 'SCRAM-SHA-1' } })
  assert.equal(connack.reasonCode, 0x8c)
  await client.closed
  assert.equal(client.received.length, 1)
  const plain = await world.raw('d1', {}, 5)
  assert.equal((await plain.connect('d1')).properties?.authenticationMethod, undefined)
  plain.send({ cmd: 'auth', reasonCode: 0x19, properties: { authenticationMethod: 'SCRAM-SHA-1' } })
  await plain.closed
  assert.deepEqual([plain.all('auth').length, plain.all('disconnect').length], [0, 1])
})

test('before CONNACK no DISCONNECT is sent', async (t) => {
  const world = await makeOpenWorld(t)
  for (const packet of [connectOf(5, 0x03, 0, field('d1')), packetOf(0xc0), bytes(0xff, 0)]) {
    const client = await world.raw('d1', {}, 5)
    client.write(packet)
    await client.closed
    assert.equal(client.all('disconnect').length, 0)
  }
})
