import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { listenTo, makeWorld, policySource, publishPacket, subscribePacket, until, type World } from './harness.js'

test('PUBACK, fan-out and SUBACK wait until their record is durable', async (t) => {
  const world = await makeWorld(t)
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  const listener = await listenTo(world, 'd2', 'open/#', 1)

  world.audit.hold()
  speaker.send(publishPacket('open/x', 'one', { qos: 1, messageId: 5 }), publishPacket('open/x', 'two'))
  listener.send(subscribePacket(2, ['f/d2/#', 1]))
  await speaker.ping()
  await listener.ping()
  assert.equal(world.records('message.publish').length, 2)
  assert.equal(speaker.all('puback').length, 0)
  assert.equal(listener.all('publish').length, 0)
  assert.equal(listener.all('suback').length, 1)

  world.audit.release()
  assert.equal((await speaker.next('puback')).messageId, 5)
  await listener.next('publish', 2)
  await listener.next('suback', 2)
  assert.deepEqual(
    listener.all('publish').map(({ payload }) => payload.toString()),
    ['one', 'two'],
  )
})

test('a QoS 2 message that waits for the disk goes out by the rights of the moment in which it does', async (t) => {
  const { world, speaker, listener, slow, writeOn } = await makeSlowWorld(t)
  for (const [at, topic] of ['open/x', 'open/y'].entries())
    speaker.send(publishPacket(topic, topic, { qos: 2, messageId: at + 1 }))
  await until(() => slow.mock.callCount() > 0)
  await speaker.ping()
  world.setPolicy(upToQos2.replace('version: 3', 'version: 4').replace('"open/secret"', '"open/x"'))
  await world.broker.policyChanged()
  writeOn()

  assert.equal((await listener.next('publish')).topic, 'open/y')
  const delivered = world.records('message.deliver').map(({ topic, ...record }) => [topic, record.decision])
  assert.deepEqual(delivered, [
    ['open/x', 'deny'],
    ['open/y', 'allow'],
  ])
  assert.ok(world.records('message.deliver').every(({ policyVersion }) => policyVersion === 4))
  const waiting = world.broker.sessions().find(({ clientId }) => clientId === 'd2')
  assert.equal(waiting?.queued, 1) // of what was withheld nothing is left
})

test('a QoS that the rights have lowered while the disk was slow stays lowered over a crash', async (t) => {
  const { world, speaker, listener, slow, writeOn } = await makeSlowWorld(t)
  speaker.send(publishPacket('open/x', 'x', { qos: 2, messageId: 1 }))
  await until(() => slow.mock.callCount() > 0)
  await speaker.ping()
  world.setPolicy(policySource().replace('version: 3', 'version: 4'))
  await world.broker.policyChanged()
  writeOn()

  assert.equal((await listener.next('publish')).qos, 1)
  await world.crash()
  const back = await world.raw('d2')
  await back.connect('d2', { clean: false })
  const again = await back.next('publish')
  assert.deepEqual([again.qos, again.dup, again.messageId], [1, true, listener.all('publish')[0]?.messageId])
})

test('a right to subscribe that is taken back before its record is durable begins no subscription', async (t) => {
  const world = await makeWorld(t)
  const client = await world.raw('d1')
  await client.connect('d1')
  world.audit.hold()
  client.send(subscribePacket(1, ['open/#', 1], ['f/d1/#', 1]))
  await until(() => world.records('message.subscribe').length === 2)
  world.setPolicy(
    policySource('').replace(
      'id: hear, actions: [subscribe, receive], topics: ["f/${device.id}/#", "open/#"]',
      'id: hear, actions: [subscribe, receive], topics: ["f/${device.id}/#"]',
    ),
  )
  await world.broker.policyChanged()
  world.audit.release()
  await client.next('suback')
  const subscriptions = world.broker.sessions().flatMap((session) => session.subscriptions)
  assert.deepEqual(subscriptions, [{ filter: 'f/d1/#', qos: 1 }])
})

test('CONNACK waits until the session is recorded', async (t) => {
  const world = await makeWorld(t)
  world.audit.hold()
  const client = await world.raw('d1')
  const answered = client.connect('d1')
  await until(() => world.records('session.connect').length === 1)
  assert.equal(client.received.length, 0)
  world.audit.release()
  assert.equal((await answered).returnCode, 0)
})

test('a client that runs ahead of the log is not read until the log has caught up, and loses nothing', async (t) => {
  const world = await makeWorld(t, { limits: { maxWaiting: 100 } })
  const client = await world.raw('d1')
  await client.connect('d1')
  world.audit.hold()
  const packets = Array.from({ length: 1000 }, (_, at) => publishPacket('f/d1/t', 'x', { qos: 1, messageId: at + 1 }))
  client.send(...packets)
  await until(() => world.records('message.publish').length === 100)
  assert.equal(world.records('message.publish').length, 100)
  world.audit.release()
  await client.next('puback', 1000)
  assert.deepEqual(
    client.all('puback').map(({ messageId }) => messageId),
    packets.map((_, at) => at + 1),
  )
})

test('5,000 pipelined publishes and a dropped socket leave the service alive, and what was recorded is delivered', async (t) => {
  const world = await makeWorld(t)
  const listener = await listenTo(world, 'd2', 'open/#', 0)
  const client = await world.raw('d1')
  await client.connect('d1')
  client.send(subscribePacket(1, ['open/#', 0]), ...Array.from({ length: 5000 }, () => publishPacket('open/x', 'x')))
  await until(() => world.records('message.publish').length > 0)
  client.socket.destroy()
  await until(() => world.records('session.end').length === 1)
  await listener.next('publish', world.records('message.publish').length)
  await listener.ping()
  assert.equal(listener.all('publish').length, world.records('message.publish').length)
})

test('when the log has failed nothing is acknowledged and nobody is served', async (t) => {
  const world = await makeWorld(t)
  const client = await world.raw('d1')
  await client.connect('d1')
  world.audit.fail()
  client.send(publishPacket('f/d1/t', 'x', { qos: 1, messageId: 1 }))
  await client.closed
  assert.equal(client.all('puback').length, 0)
})

test('while the log is congested no socket is read', async (t) => {
  const world = await makeWorld(t)
  const client = await world.raw('d1')
  await client.connect('d1')
  world.audit.setCongested(true)
  const other = await world.raw('d2')
  other.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clientId: 'd2', keepalive: 9, clean: true })
  client.send(publishPacket('f/d1/t', 'x', { qos: 1, messageId: 1 }))
  await world.credentials('d3') // some turns of the loop
  assert.equal(world.records('message.publish').length, 0)
  world.audit.setCongested(false)
  await client.next('puback')
  await other.next('connack')
})

const upToQos2 = policySource().replaceAll('qos: { max: 1 }', 'qos: { max: 2 }')

/** One speaks and one listens, both at QoS 2, and from now on the disk is slow. */
async function makeSlowWorld(t: TestContext) {
  const world = await makeWorld(t, { policy: upToQos2 })
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  const listener = await listenTo(world, 'd2', 'open/#', 2, { clean: false })
  return { world, speaker, listener, ...holdStore(t, world) }
}

/** Nothing reaches the store until it may write on. */
function holdStore({ mock }: TestContext, { store }: World) {
  const { commit } = store
  let writeOn: () => void = () => undefined
  const written = new Promise<void>((resolve) => (writeOn = resolve))
  const slow = mock.method(store, 'commit', async (changes: Parameters<typeof commit>[0]) => {
    await written
    return commit.call(store, changes)
  })
  return { slow, writeOn: () => writeOn() }
}
