import assert from 'node:assert/strict'
import test from 'node:test'
import { makeWorld, publishPacket, subscribePacket, until } from './harness.js'

test('known traffic is counted exactly: packets by QoS, decisions, connections, ends and refusals', async (t) => {
  const world = await makeWorld(t)
  const { statistics } = world.broker
  const [ear, mouth] = [await world.raw('e'), await world.raw('m')]
  await ear.connect('e')
  await mouth.connect('m')
  ear.send(subscribePacket(1, ['open/#', 1], ['f/other/#', 0]))
  await ear.next('suback')
  mouth.send(
    publishPacket('open/a', 'x'),
    publishPacket('open/b', 'x', { qos: 1, messageId: 1 }),
    publishPacket('open/secret', 'x', { qos: 1, messageId: 2 }), // which nobody may receive
  )
  await mouth.next('puback', 2)
  await ear.next('publish', 2)
  const stranger = await world.raw('s')
  await stranger.connect('e')
  await stranger.closed
  mouth.send({ cmd: 'disconnect' })
  await mouth.closed

  assert.deepEqual(statistics.messagesIn, { 0: 1, 1: 2, 2: 0 })
  assert.deepEqual(statistics.messagesOut, { 0: 1, 1: 1, 2: 0 })
  assert.deepEqual(statistics.connects, { '3.1.1': { tls: 2, websocket: 0 }, '5': { tls: 0, websocket: 0 } })
  assert.deepEqual([...statistics.ends], [['client', 1]])
  assert.deepEqual([...statistics.refusals], [['client_id', 1]])
  const { publish, subscribe, receive } = statistics.decisions
  assert.deepEqual([publish.allow, [...publish.deny]], [3, []])
  assert.deepEqual([subscribe.allow, [...subscribe.deny]], [1, [['not_contained', 1]]])
  assert.deepEqual([receive.allow, [...receive.deny]], [2, [['denied', 1]]])
})

test('bytes are those of MQTT, counted for the connection and for all', async (t) => {
  const world = await makeWorld(t)
  const client = await world.raw('d')
  await client.connect('d') // 15 bytes, and 4 of CONNACK
  client.send(publishPacket('open/a', 'hello')) // 15 bytes
  await client.ping() // 2 and 2
  const [session] = world.broker.sessions()
  assert.deepEqual(session?.bytes, { in: 32, out: 6 })
  assert.deepEqual([world.broker.statistics.bytesIn, world.broker.statistics.bytesOut], [32, 6])
  assert.deepEqual([session.messages, session.protocol, session.transport], [{ in: 1, out: 0 }, '3.1.1', 'tls'])
})

test('the list of sessions says how fast each one talks, and what it was last refused', async (t) => {
  const world = await makeWorld(t)
  const client = await world.raw('d')
  await client.connect('d', { keepalive: 1200 })
  client.send(...Array.from({ length: 20 }, () => publishPacket('open/a', 'x')), subscribePacket(1, ['f/x/#', 0]))
  await client.next('suback')
  world.clock += 4000
  const [busy] = world.broker.sessions()
  assert.deepEqual(busy?.rates, { in: 5, out: 0 })
  assert.deepEqual(
    [busy.lastRefusal?.action, busy.lastRefusal?.topic, busy.lastRefusal?.reason],
    ['subscribe', 'f/x/#', 'not_contained'],
  )
  await until(() => {
    world.clock += 1000
    return world.broker.sessions()[0]?.rates.in === 0
  })
})

test('levels count what waits, for whom, and what is lost when its time is over', async (t) => {
  const world = await makeWorld(t)
  const { broker } = world
  const ear = await world.raw('e')
  await ear.connect('e', { clean: false })
  ear.send(subscribePacket(1, ['open/#', 1]))
  await ear.next('suback')
  ear.socket.destroy()
  await until(() => broker.levels().connections['3.1.1'].tls === 0)
  const mouth = await world.raw('m')
  await mouth.connect('m')
  mouth.send(publishPacket('open/a', 'x', { qos: 1, messageId: 1, retain: true }))
  await mouth.next('puback')
  const levels = broker.levels()
  assert.deepEqual(levels.connections['3.1.1'], { tls: 1, websocket: 0 })
  assert.deepEqual([levels.sessions, levels.subscriptions, levels.retainedMessages], [2, 1, 1])
  assert.deepEqual([levels.queuedMessages, levels.inflightMessages, levels.queuedBytes > 0], [1, 0, true])
  const away = broker.sessions().find(({ clientId }) => clientId === 'e')
  assert.deepEqual([away?.connected, away?.protocol, away?.queued], [false, undefined, 1])

  broker.kick('e', { forget: true })
  assert.deepEqual([...broker.statistics.drops], [['forgotten', 1]])
  assert.deepEqual([broker.levels().queuedMessages, broker.levels().subscriptions], [0, 0])
})
