import assert from 'node:assert/strict'
import test from 'node:test'
import { cut, heard, join, lasting, makeOpenWorld, publishAll, subscribe } from '../conformance/peer.js'
import { device, makeWorld, policySource, publishPacket, until, type World } from '../harness.js'

/* In-flight windows of receivers who acknowledge late, early, twice or never: attack cases 71 and 26, and what a revocation takes out of them. */

function revoke(world: World, id: string): void {
  world.refused.set(device(id), 'revoked')
  world.broker.endDevices([device(id)], 'revoked')
}

test('what a revocation takes back before it reached the socket frees its place in the window', async (t) => {
  const world = await makeOpenWorld(t, { maxInflight: 4, maxOutputBytes: 8 * 1024 * 1024 })
  const [listener, filler, speaker] = [
    await join(world, 'd2', 5),
    await join(world, 'd3', 5),
    await join(world, 'd1', 5),
  ]
  await subscribe(listener, ['t/#', 1])
  await subscribe(filler, ['t/#', 0])
  listener.socket.pause()
  for (let sent = 1; sent <= 100; sent++) filler.send(publishPacket('t/fill', Buffer.alloc(60_000)))
  await filler.next('publish', 100) // more than the socket of one who does not read takes
  await publishAll(speaker, ...[1, 2, 3, 4].map((at) => ['t/x', `gone ${at}`, { qos: 1 }] as const))
  revoke(world, 'd1')
  await publishAll(filler, ['t/x', 'after', { qos: 1 }])
  listener.socket.resume()
  await listener.next('publish', 101)
  assert.deepEqual(heard(listener).slice(100), ['after'])
})

test('what the client has of a revoked device keeps its identifier until it is acknowledged', async (t) => {
  const world = await makeOpenWorld(t, { maxInflight: 2 })
  const [listener, speaker, other] = [
    await join(world, 'd2', 5),
    await join(world, 'd1', 5),
    await join(world, 'd3', 5),
  ]
  await subscribe(listener, ['t/#', 1])
  await publishAll(speaker, ['t/x', 'one', { qos: 1 }], ['t/x', 'two', { qos: 1 }])
  await listener.next('publish', 2)
  revoke(world, 'd1')
  await publishAll(other, ['t/x', 'three', { qos: 1 }], ['t/x', 'four', { qos: 1 }])
  await listener.ping()
  assert.deepEqual(heard(listener), ['one', 'two'])
  for (const { messageId = 0 } of listener.all('publish')) listener.send({ cmd: 'puback', messageId })
  await listener.next('publish', 4)
  await listener.ping()
  assert.deepEqual(heard(listener), ['one', 'two', 'three', 'four'])
})

test('one who acknowledges before the message is sent again does not get it again, and its window stays whole', async (t) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', 5)
  const first = await join(world, 'd2', 5, lasting(5))
  await subscribe(first, ['t/#', 2])
  await publishAll(speaker, ['t/1', 'one', { qos: 1 }], ['t/2', 'two', { qos: 1 }], ['t/3', 'three', { qos: 1 }])
  await first.next('publish', 3)
  await cut(world, first)

  const properties = { sessionExpiryInterval: 3600, receiveMaximum: 1 }
  const again = await join(world, 'd2', 5, { clean: false, properties })
  const { messageId: id1 = 0 } = await again.next('publish')
  again.send({ cmd: 'puback', messageId: first.all('publish')[1]?.messageId ?? 0 })
  await again.ping()
  again.send({ cmd: 'puback', messageId: id1 })
  const { messageId: id3 = 0 } = await again.next('publish', 2)
  again.send({ cmd: 'puback', messageId: id3 })
  await publishAll(speaker, ['t/4', 'four', { qos: 1 }])
  await again.next('publish', 3)
  assert.deepEqual(heard(again), ['one', 'three', 'four'])
})

test('a backlog of messages that are all too large for the client is passed over, whatever its length', async (t) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', 5)
  const away = await join(world, 'd2', 5, lasting(5))
  await subscribe(away, ['t/#', 1])
  await cut(world, away)
  const many = Array.from({ length: 5000 }, () => ['t/x', 'x'.repeat(100), { qos: 1 }] as const)
  await publishAll(speaker, ...many, ['t/x', 'small', { qos: 1 }])
  const properties = { sessionExpiryInterval: 3600, maximumPacketSize: 50 }
  const again = await join(world, 'd2', 5, { clean: false, properties })
  await again.next('publish')
  assert.deepEqual(heard(again), ['small'])
  await cut(world, again)
  const dropped = world.records('message.drop').filter(({ reason }) => reason === 'too_large')
  assert.equal(
    dropped.reduce((sum, { count }) => sum + count, 0),
    5000,
  )
})

test('a message that expires while it is in flight is sent again with no time left, and harms nobody', async (t) => {
  const world = await makeOpenWorld(t)
  const speaker = await join(world, 'd1', 5)
  const first = await join(world, 'd2', 5, lasting(5))
  await subscribe(first, ['t/#', 1])
  await publishAll(speaker, ['t/x', 'brief', { qos: 1, properties: { messageExpiryInterval: 10 } }])
  await first.next('publish')
  await cut(world, first)
  world.clock += 20_000
  const again = await join(world, 'd2', 5, lasting(5))
  const resent = await again.next('publish')
  assert.deepEqual([resent.dup, resent.properties?.messageExpiryInterval], [true, 0])
  await again.ping()
})

test('a subscriber that never acknowledges gets a window of messages, keeps a bounded queue, and then loses its session', async (t) => {
  const world = await makeOpenWorld(t, { maxInflight: 5, maxQueued: 20 })
  const [stuck, listener, speaker] = [
    await join(world, 'd2', 4),
    await join(world, 'd3', 4),
    await join(world, 'd1', 4),
  ]
  await subscribe(stuck, ['t/#', 1])
  await subscribe(listener, ['t/#', 0])
  const publish = (count: number) =>
    publishAll(speaker, ...Array.from({ length: count }, () => ['t/x', 'x', { qos: 1 }] as const))
  await publish(25)
  await stuck.ping()
  assert.equal(stuck.all('publish').length, 5)
  await publish(1)
  await stuck.closed
  await listener.next('publish', 26)
  await until(() => world.records('session.end').length === 1)
  assert.deepEqual(
    world.records('session.end').map(({ device, reason }) => [device, reason]),
    [['d2', 'slow']],
  )
})

test('a message of QoS 2 that policy keeps from its second sending keeps its identifier until the client lets it go', async (t) => {
  const granted = policySource().replaceAll('max: 1', 'max: 2')
  const world = await makeWorld(t, { policy: granted })
  const speaker = await join(world, 'd1', 5)
  const first = await join(world, 'd2', 5, lasting(5))
  await subscribe(first, ['open/#', 2])
  const publish = async (topic: string, nth: number) => {
    speaker.send(publishPacket(topic, topic, { qos: 2, messageId: nth }))
    await speaker.next('pubrec', nth)
  }
  await publish('open/x', 1)
  await publish('open/y', 2)
  const [x = 0, y = 0] = [await first.next('publish'), await first.next('publish', 2)].map(
    ({ messageId = 0 }) => messageId,
  )
  await cut(world, first)
  world.setPolicy(granted.replace('"open/secret"', '"open/secret", "open/x", "open/y"'))
  await world.broker.policyChanged()
  await world.restart()

  const again = await join(world, 'd2', 5, {
    ...lasting(5),
    properties: { sessionExpiryInterval: 3600, receiveMaximum: 1 },
  })
  again.send({ cmd: 'pubrec', messageId: x })
  assert.deepEqual([(await again.next('pubrel')).reasonCode ?? 0, heard(again)], [0, []])
  again.send({ cmd: 'pubcomp', messageId: x }, { cmd: 'pubrec', messageId: x })
  assert.equal((await again.next('pubrel', 2)).reasonCode, 0x92)
  await cut(world, again)

  world.setPolicy(granted)
  const last = await join(world, 'd2', 5, lasting(5))
  const { messageId, dup } = await last.next('publish')
  assert.deepEqual([messageId, dup, heard(last)], [y, true, ['open/y']])
})
