import assert from 'node:assert/strict'
import test from 'node:test'
import type { RawClient } from '../harness.js'
import { publishPacket } from '../harness.js'
import { atBothLevels, cut, heard, join, lasting, makeOpenWorld, publishAll, subscribe } from './peer.js'

/* PUBLISH and what answers it, in both directions and at each quality of service. */

/** What a client of QoS 2 says to each PUBREL, so that the exchange ends. */
function completes(client: RawClient, nth: number): Promise<void> {
  return client.next('pubrel', nth).then(({ messageId }) => {
    client.send({ cmd: 'pubcomp', messageId: messageId ?? 0 })
  })
}

atBothLevels('a PUBLISH is answered as its QoS asks, with its own identifier', async (t, level) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', level)
  client.send(publishPacket('t', '0'), publishPacket('t', '1', { qos: 1, messageId: 7 }))
  assert.equal((await client.next('puback')).messageId, 7)
  client.send(publishPacket('t', '2', { qos: 2, messageId: 9 }))
  assert.equal((await client.next('pubrec')).messageId, 9)
  client.send({ cmd: 'pubrel', messageId: 9 })
  assert.equal((await client.next('pubcomp')).messageId, 9)
  await client.ping()
  assert.deepEqual(
    client.received.map(({ cmd }) => cmd),
    ['connack', 'puback', 'pubrec', 'pubcomp', 'pingresp'],
  )
})

atBothLevels('once acknowledged, an identifier of QoS 1 names a new message, DUP or not', async (t, level) => {
  const world = await makeOpenWorld(t)
  const [listener, speaker] = [await join(world, 'd2', level), await join(world, 'd1', level)]
  await subscribe(listener, ['t', 1])
  for (const [at, dup] of [false, false, true].entries()) {
    speaker.send(publishPacket('t', `${at}`, { qos: 1, messageId: 7, dup }))
    await speaker.next('puback', at + 1)
  }
  await listener.ping()
  assert.deepEqual(heard(listener), ['0', '1', '2'])
})

atBothLevels(
  'a message of QoS 2 is delivered once, however often it is sent before PUBREL, and anew after it',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const [listener, speaker] = [await join(world, 'd2', level), await join(world, 'd1', level)]
    await subscribe(listener, ['t', 1])
    const message = (payload: string, dup: boolean) => publishPacket('t', payload, { qos: 2, messageId: 7, dup })
    speaker.send(message('first', false))
    await speaker.next('pubrec')
    speaker.send(message('first', true), message('first', true))
    await speaker.next('pubrec', 3)
    speaker.send({ cmd: 'pubrel', messageId: 7 })
    await speaker.next('pubcomp')
    speaker.send(message('second', false))
    await speaker.next('pubrec', 4)
    speaker.send({ cmd: 'pubrel', messageId: 7 })
    assert.equal((await speaker.next('pubcomp', 2)).messageId, 7)
    await publishAll(speaker)
    await listener.ping()
    assert.deepEqual(heard(listener), ['first', 'second'])
    assert.ok(speaker.all('pubrec').every(({ messageId, reasonCode = 0 }) => messageId === 7 && reasonCode === 0))
  },
)

atBothLevels(
  'a message of QoS 2 is known again when its publisher comes back, also after a restart',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const listener = await join(world, 'd2', level, lasting(level))
    await subscribe(listener, ['t', 1])
    await cut(world, listener)
    const speaker = await join(world, 'd1', level, lasting(level))
    speaker.send(publishPacket('t', 'once', { qos: 2, messageId: 7 }))
    await speaker.next('pubrec')
    await cut(world, speaker)
    await world.restart()
    const back = await world.raw('d1', {}, level)
    assert.equal((await back.connect('d1', lasting(level))).sessionPresent, true)
    back.send(publishPacket('t', 'once', { qos: 2, messageId: 7, dup: true }))
    await back.next('pubrec')
    back.send({ cmd: 'pubrel', messageId: 7 })
    await back.next('pubcomp')
    const reader = await join(world, 'd2', level, lasting(level))
    await reader.next('publish')
    await reader.ping()
    assert.deepEqual(heard(reader), ['once'])
  },
)

atBothLevels('PUBREL for an identifier that is not known is answered with PUBCOMP', async (t, level) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', level)
  client.send({ cmd: 'pubrel', messageId: 99 })
  const { messageId, reasonCode } = await client.next('pubcomp')
  assert.deepEqual([messageId, reasonCode ?? 0], [99, level === 4 ? 0 : 0x92])
})

atBothLevels('acknowledgements come in the order of what they acknowledge', async (t, level) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', level)
  const ids = [5, 3, 9, 1, 8, 2]
  client.send(...ids.map((messageId) => publishPacket('t', 'x', { qos: 1, messageId, retain: messageId % 2 === 1 })))
  await client.next('puback', ids.length)
  client.send(...ids.map((messageId) => publishPacket('t', 'x', { qos: 2, messageId })))
  await client.next('pubrec', ids.length)
  assert.deepEqual(
    client.all('puback').map(({ messageId }) => messageId),
    ids,
  )
  assert.deepEqual(
    client.all('pubrec').map(({ messageId }) => messageId),
    ids,
  )
})

atBothLevels('DUP of the publisher is not passed on, and QoS 0 has no identifier', async (t, level) => {
  const world = await makeOpenWorld(t)
  const [listener, speaker] = [await join(world, 'd2', level), await join(world, 'd1', level)]
  await subscribe(listener, ['t', 1])
  await publishAll(speaker, ['t', 'one', { qos: 1, dup: true }], ['t', 'zero'])
  await listener.next('publish', 2)
  const [one, zero] = listener.all('publish')
  assert.deepEqual([one?.dup, one?.qos, zero?.dup, zero?.qos, zero?.messageId], [false, 1, false, 0, undefined])
})

atBothLevels('each message has an identifier that is not in use, until it is acknowledged', async (t, level) => {
  const world = await makeOpenWorld(t)
  const [listener, speaker] = [await join(world, 'd2', level), await join(world, 'd1', level)]
  await subscribe(listener, ['t', 2])
  await publishAll(speaker, ['t', '0', { qos: 1 }], ['t', '1', { qos: 1 }], ['t', '2', { qos: 1 }])
  speaker.send(publishPacket('t', '3', { qos: 2, messageId: 1 }))
  await listener.next('publish', 3)
  speaker.send({ cmd: 'pubrel', messageId: 1 })
  await listener.next('publish', 4)
  const ids = listener.all('publish').map(({ messageId }) => messageId ?? 0)
  assert.equal(new Set(ids).size, 4)
  assert.ok(ids.every((id) => id > 0))
  listener.send({ cmd: 'puback', messageId: ids[1] ?? 0 })
  await publishAll(speaker, ['t', '4', { qos: 1 }])
  const { messageId = 0 } = await listener.next('publish', 5)
  assert.ok(messageId > 0 && ![ids[0], ids[2], ids[3]].includes(messageId))
})

atBothLevels(
  'QoS 2 to a subscriber goes by PUBREC, PUBREL and PUBCOMP, and PUBREL once more if PUBCOMP is missing',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const speaker = await join(world, 'd1', level)
    const listener = await join(world, 'd2', level, lasting(level))
    await subscribe(listener, ['t', 2])
    speaker.send(publishPacket('t', 'once', { qos: 2, messageId: 1 }))
    await speaker.next('pubrec')
    speaker.send({ cmd: 'pubrel', messageId: 1 })
    const { messageId = 0, qos, dup } = await listener.next('publish')
    assert.deepEqual([qos, dup], [2, false])
    listener.send({ cmd: 'pubrec', messageId })
    assert.equal((await listener.next('pubrel')).messageId, messageId)
    await cut(world, listener)
    const back = await join(world, 'd2', level, lasting(level))
    assert.equal((await back.next('pubrel')).messageId, messageId)
    back.send({ cmd: 'pubcomp', messageId })
    await cut(world, back)
    const again = await join(world, 'd2', level, lasting(level))
    await again.ping()
    assert.equal(again.all('pubrel').length + again.all('publish').length + back.all('publish').length, 0)
  },
)

atBothLevels(
  'what is not acknowledged is sent again after a reconnect and at no other time: in order, with DUP and its identifier',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const speaker = await join(world, 'd1', level)
    const listener = await join(world, 'd2', level, lasting(level))
    await subscribe(listener, ['t', 2])
    await publishAll(speaker, ['t', 'a', { qos: 1 }], ['t', 'b', { qos: 1 }])
    speaker.send(publishPacket('t', 'c', { qos: 2, messageId: 1 }))
    await speaker.next('pubrec')
    speaker.send({ cmd: 'pubrel', messageId: 1 })
    await listener.next('publish', 3)
    await publishAll(speaker, ['t', 'd', { qos: 1 }])
    await listener.next('publish', 4)
    world.clock += 40_000
    await listener.ping()
    assert.equal(listener.all('publish').length, 4)
    const [, second] = listener.all('publish')
    listener.send({ cmd: 'puback', messageId: second?.messageId ?? 0 })
    await listener.ping()
    await cut(world, listener)
    const back = await join(world, 'd2', level, lasting(level))
    await back.next('publish', 3)
    await back.ping()
    const outline = (client: RawClient) =>
      client.all('publish').map(({ payload, messageId }) => `${payload.toString()} ${messageId}`)
    assert.deepEqual(
      outline(back),
      outline(listener).filter((message) => !message.startsWith('b')),
    )
    assert.ok(back.all('publish').every(({ dup }) => dup))
  },
)

atBothLevels(
  'messages of one publisher reach each subscriber in their order, topic by topic and QoS by QoS',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const speaker = await join(world, 'd1', level)
    const listeners = [await join(world, 'd2', level), await join(world, 'd3', level, lasting(level))]
    for (const listener of listeners) await subscribe(listener, ['t/+', 2])
    const numbers = Array.from({ length: 60 }, (_, at) => at)
    await publishAll(speaker, ...numbers.map((n) => [`t/${n % 2}`, `${n}`, { qos: n % 3 === 0 ? 0 : 1 }] as const))
    for (const listener of listeners) {
      for (let nth = 1; nth <= 60; nth++) {
        const { qos, messageId = 0 } = await listener.next('publish', nth)
        if (qos > 0) listener.send({ cmd: 'puback', messageId })
      }
      for (const [topic, qos] of [
        ['t/0', 0],
        ['t/0', 1],
        ['t/1', 0],
        ['t/1', 1],
      ] as const) {
        const got = listener.all('publish').filter((packet) => packet.topic === topic && packet.qos === qos)
        const expected = numbers.filter((n) => `t/${n % 2}` === topic && (n % 3 === 0 ? 0 : 1) === qos)
        assert.deepEqual(
          got.map(({ payload }) => Number(payload.toString())),
          expected,
        )
      }
    }
  },
)

atBothLevels('QoS 2 messages are released in the order of their PUBREC', async (t, level) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', level)
  const listener = await join(world, 'd2', level)
  await subscribe(listener, ['t', 2])
  for (const messageId of [1, 2, 3]) {
    speaker.send(publishPacket('t', `${messageId}`, { qos: 2, messageId }))
    await speaker.next('pubrec', messageId)
    speaker.send({ cmd: 'pubrel', messageId })
  }
  await listener.next('publish', 3)
  const ids = listener.all('publish').map(({ messageId = 0 }) => messageId)
  listener.send(...ids.map((messageId) => ({ cmd: 'pubrec', messageId }) as const))
  for (const nth of [1, 2, 3]) await completes(listener, nth)
  assert.deepEqual(
    listener.all('pubrel').map(({ messageId }) => messageId),
    ids,
  )
})

test('a publish that is not allowed ends the connection in MQTT 3.1.1, unacknowledged', async (t) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', 4)
  client.send(publishPacket('denied/x', 'x', { qos: 1, messageId: 1 }))
  await client.closed
  assert.equal(client.all('puback').length, 0)
})

atBothLevels('a message is kept for every session whose subscription matches, connected or not', async (t, level) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', level)
  const away = await join(world, 'd2', level, lasting(level))
  await subscribe(away, ['t/#', 1])
  await cut(world, away)
  const here = await join(world, 'd3', level)
  await subscribe(here, ['+/x', 1])
  await publishAll(speaker, ['t/x', 'one', { qos: 1 }], ['u/y', 'for nobody', { qos: 1 }])
  const back = await join(world, 'd2', level, lasting(level))
  for (const client of [here, back]) {
    assert.equal((await client.next('publish')).topic, 't/x')
    await client.ping()
    assert.deepEqual(heard(client), ['one'])
  }
})

test('a PUBREC that refuses frees its identifier, and the message is not sent again', async (t) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', 5)
  const listener = await join(world, 'd2', 5, {
    ...lasting(5),
    properties: { sessionExpiryInterval: 3600, receiveMaximum: 2 },
  })
  await subscribe(listener, ['t', 2])
  speaker.send(publishPacket('t', 'two', { qos: 2, messageId: 1 }))
  await speaker.next('pubrec')
  speaker.send({ cmd: 'pubrel', messageId: 1 })
  await listener.next('publish')
  await publishAll(speaker, ['t', 'one', { qos: 1 }], ['t', 'next', { qos: 1 }], ['t', 'after', { qos: 1 }])
  const [two, one] = [await listener.next('publish'), await listener.next('publish', 2)]
  listener.send({ cmd: 'pubrec', messageId: two.messageId ?? 0, reasonCode: 0x80 })
  listener.send({ cmd: 'puback', messageId: one.messageId ?? 0, reasonCode: 0x80 })
  await listener.next('publish', 4)
  assert.equal(listener.all('pubrel').length, 0)
  await cut(world, listener)
  const back = await join(world, 'd2', 5, lasting(5))
  await back.next('publish', 2)
  await back.ping()
  assert.deepEqual(heard(back), ['next', 'after'])
})

test('a publish of QoS 2 that is refused leaves its identifier free for a new one', async (t) => {
  const world = await makeOpenWorld(t)
  const [listener, speaker] = [await join(world, 'd2', 5), await join(world, 'd1', 5)]
  await subscribe(listener, ['t', 1])
  speaker.send(publishPacket('denied/x', 'no', { qos: 2, messageId: 7 }))
  assert.equal((await speaker.next('pubrec')).reasonCode, 0x87)
  speaker.send(publishPacket('t', 'yes', { qos: 2, messageId: 7 }))
  assert.equal((await speaker.next('pubrec', 2)).reasonCode ?? 0, 0)
  speaker.send({ cmd: 'pubrel', messageId: 7 })
  await speaker.next('pubcomp')
  await listener.next('publish')
  assert.deepEqual(heard(listener), ['yes'])
})
