import assert from 'node:assert/strict'
import test from 'node:test'
import { device, makeWorld, policySource, publishPacket, until } from '../harness.js'
import { field, packetOf } from '../wire/wire.js'
import { cut, heard, join, lasting, makeOpenWorld, publishAll, subscribe } from './peer.js'

/* Shared subscriptions (MQTT 5.0 §4.8.2). */

test('a shared subscription without a proper share name or filter is never granted', async (t) => {
  const world = await makeOpenWorld(t)
  const names = [
    '$share//t',
    '$share/g',
    '$share/g/',
    '$share/+/t',
    '$share/#',
    '$share/g/$share/h/t',
    '$share/g+/t',
    '$share/g#/t',
  ]
  for (const filter of names) {
    const client = await join(world, 'd1', 5)
    client.write(packetOf(0x82, 0, 1, 0, field(filter), 0))
    await Promise.race([client.closed, client.next('suback').catch(() => undefined)])
    const codes = client.received.slice(1).flatMap((packet) => {
      if (packet.cmd === 'suback') return packet.granted
      return packet.cmd === 'disconnect' ? packet.reasonCode : packet.cmd
    })
    assert.deepEqual(codes, [0x8f], filter)
    assert.deepEqual(
      world.broker.sessions().flatMap(({ subscriptions }) => subscriptions),
      [],
    )
  }
})

test('no-local on a shared subscription ends the connection', async (t) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', 5)
  client.write(packetOf(0x82, 0, 1, 0, field('$share/g/t'), 0x04))
  await client.closed
  assert.deepEqual(
    client.all('disconnect').map(({ reasonCode }) => reasonCode),
    [0x82],
  )
})

test('each message goes to one member of each group, in turn, and to everyone who does not share', async (t) => {
  const world = await makeOpenWorld(t)
  const names = ['d2', 'd3', 'd4'] as const
  const members = await Promise.all(names.map((name) => join(world, name, 5)))
  for (const member of members) await subscribe(member, ['$share/g/t/+', 1])
  const alone = await join(world, 'd5', 5)
  await subscribe(alone, ['$share/h/t/+', 1], ['t/#', 1])
  const speaker = await join(world, 'd1', 5)
  const numbers = Array.from({ length: 9 }, (_, n) => `${n}`)
  await publishAll(speaker, ...numbers.map((n) => [`t/${n}`, n, { qos: 1 }] as const))
  for (const member of members) await member.ping()
  await alone.ping()
  assert.deepEqual(
    members.map((member) => heard(member).length),
    [3, 3, 3],
  )
  assert.deepEqual(members.flatMap((member) => heard(member)).toSorted(), numbers)
  assert.deepEqual(heard(alone).toSorted(), [...numbers, ...numbers].toSorted())
})

test('each member of a group gets messages at the QoS that it was granted', async (t) => {
  const world = await makeOpenWorld(t)
  const members = [await join(world, 'd2', 5), await join(world, 'd3', 5), await join(world, 'd4', 5)]
  for (const [qos, member] of members.entries())
    await subscribe(member, ['$share/g/t', qos === 0 ? 0 : qos === 1 ? 1 : 2])
  const speaker = await join(world, 'd1', 5)
  await publishAll(speaker, ...['1', '2', '3'].map((payload) => ['t', payload, { qos: 1 }] as const))
  const received = await Promise.all(members.map((member) => member.next('publish')))
  assert.deepEqual(
    received.map(({ qos }) => qos),
    [0, 1, 1],
  )
})

test('no retained message is sent to a shared subscription', async (t) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', 5)
  await publishAll(speaker, ['t', 'kept', { qos: 1, retain: true }])
  const member = await join(world, 'd2', 5)
  await subscribe(member, ['$share/g/t', 1])
  await member.ping()
  assert.deepEqual(heard(member), [])
})

test('a message of QoS 2 that one member began to receive is completed with it, and never given to another', async (t) => {
  const world = await makeOpenWorld(t)
  const first = await join(world, 'd2', 5, lasting(5))
  await subscribe(first, ['$share/g/t', 2])
  const speaker = await join(world, 'd1', 5)
  for (const messageId of [1, 2]) {
    speaker.send(publishPacket('t', `${messageId}`, { qos: 2, messageId }))
    await speaker.next('pubrec', messageId)
    speaker.send({ cmd: 'pubrel', messageId })
  }
  await first.next('publish', 2)
  const other = await join(world, 'd3', 5)
  await subscribe(other, ['$share/g/t', 2])
  await cut(world, first)
  const back = await join(world, 'd2', 5, lasting(5))
  const { messageId = 0 } = await back.next('publish')
  back.send({ cmd: 'pubrec', messageId })
  await back.next('pubrel')
  back.send({ cmd: 'pubcomp', messageId })
  await back.next('publish', 2)
  await back.ping()
  back.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } })
  await back.closed
  await until(() => world.broker.sessions().length === 2)
  await other.ping()
  assert.deepEqual([heard(back), heard(other)], [['1', '2'], []])
})

test('a message that a member refuses goes to no other', async (t) => {
  const world = await makeOpenWorld(t)
  const members = [await join(world, 'd2', 5), await join(world, 'd3', 5)]
  for (const member of members) await subscribe(member, ['$share/g/t', 2])
  const speaker = await join(world, 'd1', 5)
  await publishAll(speaker, ['t', 'one', { qos: 1 }])
  speaker.send(publishPacket('t', 'two', { qos: 2, messageId: 1 }))
  await speaker.next('pubrec')
  speaker.send({ cmd: 'pubrel', messageId: 1 })
  await speaker.next('pubcomp')
  for (const member of members) {
    const { qos, messageId = 0 } = await member.next('publish')
    member.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId, reasonCode: 0x80 })
    await member.ping()
  }
  for (const member of members) await member.ping()
  assert.deepEqual(members.flatMap((member) => heard(member)).toSorted(), ['one', 'two'])
})

test('what a member may not hear goes to one that may', async (t) => {
  const world = await makeWorld(t, {
    policy: policySource()
      .replace('"open/#"], qos: { max: 1 } }', '"open/#", "$share/g/open/#"], qos: { max: 1 } }')
      .replace('topics: ["open/secret"]', 'topics: ["open/${device.labels.closed}"]'),
  })
  world.labels.set(device('d2'), { kind: 'device', closed: 'x' })
  world.labels.set(device('d3'), { kind: 'device', closed: 'y' })
  world.labels.set(device('d1'), { kind: 'device', closed: 'z' })
  const members = [await join(world, 'd2', 5), await join(world, 'd3', 5)]
  for (const member of members) assert.deepEqual((await subscribe(member, ['$share/g/open/+', 1])).granted, [1])
  const speaker = await join(world, 'd1', 5)
  await publishAll(speaker, ...['1', '2', '3', '4'].map((n) => ['open/x', n, { qos: 1 }] as const))
  for (const member of members) await member.ping()
  assert.deepEqual(members.map(heard), [[], ['1', '2', '3', '4']])
})

test('what nobody of a group may hear is refused on record, every time', async (t) => {
  const world = await makeWorld(t, {
    policy: policySource().replace('"open/#"], qos: { max: 1 } }', '"open/#", "$share/g/open/#"], qos: { max: 1 } }'),
  })
  const members = [await join(world, 'd2', 5, lasting(5)), await join(world, 'd3', 5)]
  for (const member of members) assert.deepEqual((await subscribe(member, ['$share/g/open/+', 1])).granted, [1])
  const speaker = await join(world, 'd1', 5)
  speaker.send(...[1, 2].map((messageId) => publishPacket('open/secret', 'x', { qos: 1, messageId })))
  await speaker.next('puback', 2)
  for (const member of members) await member.ping()
  assert.deepEqual(members.map(heard), [[], []])
  await world.broker.closeGracefully()
  assert.deepEqual(
    world.records('message.deliver').map(({ topic, reason, count }) => [topic, reason, count]),
    [
      ['open/secret', 'denied', undefined],
      ['open/secret', 'denied', 1],
    ],
  )
})
