import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { type DeviceId, parseDeviceId } from '#protocol'
import { heard } from './conformance/peer.js'
import { makeWorld, policySource, publishPacket, subscribePacket, until, type World } from './harness.js'

/** Nobody may say or hear anything of `open/` any more. */
const closed = policySource('onDenyPublish: drop').replaceAll(', "open/#"]', ']')

async function join(world: World, id: string, clientId = id) {
  const client = await world.raw(id, {}, 5)
  await client.connect(clientId)
  client.send(subscribePacket(1, ['open/#', 1]))
  await client.next('suback')
  return client
}

/** `recheckMilliseconds: 0`: nobody's turn ever comes. A millisecond passes whenever somebody looks at the clock. */
async function makeFleet(t: TestContext, size: number, recheckMilliseconds: number) {
  let elapsed = 0
  const world = await makeWorld(t, {
    limits: { recheckMilliseconds },
    policy: policySource('onDenyPublish: drop'),
    change: { elapsed: () => ++elapsed },
  })
  const clients = await Promise.all(Array.from({ length: size }, (_, at) => join(world, `d${at}`)))
  return { world, clients }
}

const openSubscriptions = ({ broker }: World) =>
  broker.sessions().filter(({ subscriptions }) => subscriptions.some(({ filter }) => filter === 'open/#')).length

test('from the moment of a change everything is decided by the new policy, also for sessions whose turn has not come', async (t) => {
  const { world, clients } = await makeFleet(t, 3, 0)
  const [speaker, listener, other] = clients
  assert.ok(speaker && listener && other)
  speaker.send(publishPacket('open/before', 'x', { qos: 1, messageId: 1 }))
  await listener.next('publish')
  world.setPolicy(closed)
  void world.broker.policyChanged()
  assert.equal(openSubscriptions(world), 3)

  speaker.send(publishPacket('open/x', 'x', { qos: 1, messageId: 2 }))
  assert.equal((await speaker.next('puback', 2)).reasonCode, 0x87)
  other.send(subscribePacket(2, ['open/y', 1]))
  assert.deepEqual((await other.next('suback', 2)).granted, [0x87])
  assert.equal(openSubscriptions(world), 1) // who says something is held to its rights at once
})

test('what was on its way when the policy changed is not delivered to a session whose turn has not come', async (t) => {
  const { world, clients } = await makeFleet(t, 2, 0)
  const [speaker, listener] = clients
  assert.ok(speaker && listener)
  world.audit.hold()
  speaker.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  await until(() => world.records('message.publish').length === 1)
  world.setPolicy(closed)
  void world.broker.policyChanged()
  world.audit.release()
  await speaker.next('puback')
  assert.equal(openSubscriptions(world), 2)
  await listener.ping()
  assert.deepEqual(heard(listener), [])
  assert.ok(world.records('message.deliver').every(({ decision }) => decision === 'deny'))
})

test('a session that the new policy does not provide for ends with its next packet, if its turn has not come', async (t) => {
  const world = await makeWorld(t, { limits: { recheckMilliseconds: 0 } })
  const second = await join(world, 'd1', 'd1~second')
  world.setPolicy(policySource().replace('sessions: { max: 3 }', 'sessions: { max: 1 }'))
  void world.broker.policyChanged()
  second.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  await second.closed
  assert.deepEqual(world.records('message.publish'), [])
  assert.deepEqual(
    world.records('session.end').map(({ reason }) => reason),
    ['denied'],
  )
})

test('sessions are held to a new policy over several turns of the event loop, and it is answered after the last', async (t) => {
  const { world } = await makeFleet(t, 12, 2)
  world.setPolicy(closed)
  const left: number[] = []
  let done = false
  const changed = world.broker.policyChanged().finally(() => (done = true))
  const watch = (): void => {
    left.push(openSubscriptions(world))
    if (!done) setImmediate(watch)
  }
  watch()
  assert.equal(await changed, 12)
  assert.equal(openSubscriptions(world), 0)
  assert.ok(new Set(left).size > 6, left.join(' ')) // a session and its subscription are two
})

test('a change while another is under way counts for all sessions, and both are answered after the last', async (t) => {
  const { world } = await makeFleet(t, 6, 2)
  world.setPolicy(closed)
  const first = world.broker.policyChanged()
  await new Promise((resolve) => setImmediate(resolve)) // one of them has been looked at
  world.setPolicy(policySource().replace('qos: { max: 1 } }', 'qos: { max: 0 } }'))
  const second = world.broker.policyChanged()
  assert.deepEqual(await Promise.all([first, second]), [6, 6])
  const granted = world.broker.sessions().flatMap(({ subscriptions }) => subscriptions.map(({ qos }) => qos))
  assert.deepEqual(granted, [0, 0, 0, 0, 0])
})

test('a broker that stops answers a change that is under way', async (t) => {
  const { world } = await makeFleet(t, 1, 0)
  const changed = world.broker.policyChanged()
  await world.restart()
  assert.equal(await changed, 1)
})

test('a change of one device acts when the call returns, and nobody else is asked about', async (t) => {
  const asked: DeviceId[] = []
  const { world } = await makeFleet(t, 2, 0)
  const labels = world.labels.set.bind(world.labels)
  t.mock.method(world.labels, 'get', (device: DeviceId) => {
    asked.push(device)
    return device === 'd1' ? { kind: 'single' } : { kind: 'device' }
  })
  labels(parseDeviceId('d1'), { kind: 'single' })
  world.broker.rightsChanged(parseDeviceId('d1'))
  assert.equal(openSubscriptions(world), 1)
  assert.deepEqual(asked, ['d1'])
})
