import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { connectPacket, device, listenTo, makeWorld, publishPacket, type RawClient, until } from './harness.js'

const will = { topic: 'open/will', payload: Buffer.from('gone'), qos: 0, retain: false } as const

/** Ways to close a socket: with a FIN, or so that whatever the broker answers comes back as a reset. */
const goings: readonly (readonly [how: string, go: (client: RawClient) => void])[] = [
  ['ends', ({ socket }) => socket.end()],
  ['destroys', ({ socket }) => socket.destroy()],
]

for (const [how, go] of goings) {
  test(`who connects, publishes, says goodbye and ${how} the socket in one breath is heard in full`, async (t) => {
    const { world, listener } = await makeListener(t)
    const speaker = await world.raw('d1')
    const payloads = ['1', '2', '3']
    speaker.write(
      bytesOf(connectPacket('d1', { will }), ...payloads.map((payload) => publishPacket('open/x', payload)), {
        cmd: 'disconnect',
      }),
    )
    await new Promise<void>((resolve) => speaker.socket.write('', () => resolve()))
    go(speaker)
    await until(() => world.records('session.end').length === 1)
    assert.deepEqual(await heard(listener, 3), payloads)
    assert.equal(world.records('session.end')[0]?.reason, 'client')
    await listener.ping()
    assert.equal(listener.all('publish').length, 3, 'no will: it said goodbye')
  })
}

test('what came in pieces before the end of the socket is heard in full, however many turns it takes', async (t) => {
  const { world, listener } = await makeListener(t, { packetsPerTurn: 1 })
  const speaker = await world.raw('d1')
  const numbers = Array.from({ length: 50 }, (_, number) => `${number}`)
  const packets = [
    connectPacket('d1', { will }),
    ...numbers.map((number) => publishPacket('open/x', number)),
    { cmd: 'disconnect' } as const,
  ]
  world.audit.hold() // so that all of it is there before CONNACK
  for (const packet of packets) {
    await new Promise<void>((resolve) => speaker.socket.write(bytesOf(packet), () => resolve()))
  }
  speaker.socket.destroy()
  await speaker.closed
  world.audit.release()
  assert.deepEqual(await heard(listener, 50), numbers)
  await until(() => world.records('session.end').length === 1)
  assert.equal(world.records('session.end')[0]?.reason, 'client')
})

test('what takes many turns of the loop is handled to its end, and then the goodbye, though the socket went long before', async (t) => {
  const { world, listener } = await makeListener(t, { packetsPerTurn: 3, maxWaiting: 10 })
  const speaker = await world.raw('d1')
  await speaker.connect('d1', { will })
  const numbers = Array.from({ length: 500 }, (_, number) => `${number}`)
  speaker.write(bytesOf(...numbers.map((number) => publishPacket('open/x', number)), { cmd: 'disconnect' }))
  speaker.socket.end()
  assert.deepEqual(await heard(listener, 500), numbers)
  await until(() => world.records('session.end').length === 1)
  assert.equal(world.records('session.end')[0]?.reason, 'client')
})

test('without a goodbye the will comes last, and half a packet at the end is nothing', async (t) => {
  const { world, listener } = await makeListener(t, { packetsPerTurn: 1 })
  const speaker = await world.raw('d1')
  await speaker.connect('d1', { will })
  const whole = bytesOf(publishPacket('open/x', 'a'), publishPacket('open/x', 'b'), publishPacket('open/x', 'cut'))
  speaker.write(whole.subarray(0, -1))
  speaker.socket.end()
  assert.deepEqual(await heard(listener, 3), ['a', 'b', 'gone'])
  assert.equal(world.records('session.end')[0]?.reason, 'lost')
})

test('who is gone before it was let in, with nothing said behind its CONNECT, becomes no session', async (t) => {
  const { world } = await makeListener(t)
  world.audit.hold()
  const speaker = await world.raw('d1')
  speaker.send(connectPacket('d1', { will }))
  await until(() => world.records('session.connect').length === 2)
  speaker.socket.destroy()
  await until(() => world.records('session.end').length === 1)
  assert.deepEqual(
    world.broker.sessions().map(({ clientId }) => clientId),
    ['d2'],
  )
})

test('a device that is revoked while its last words wait is not heard any more', async (t) => {
  const { world, listener } = await makeListener(t)
  world.audit.hold()
  const speaker = await world.raw('d1')
  speaker.write(bytesOf(connectPacket('d1', { will }), publishPacket('open/x', 'too late'), { cmd: 'disconnect' }))
  await until(() => world.records('session.connect').length === 2)
  speaker.socket.end()
  await speaker.closed
  world.broker.endDevices([device('d1')], 'revoked')
  world.audit.release()
  await listener.ping()
  assert.deepEqual(listener.all('publish'), [])
  assert.deepEqual(
    world.broker.sessions().map(({ clientId }) => clientId),
    ['d2'],
  )
})

async function makeListener(t: TestContext, limits = {}) {
  const world = await makeWorld(t, { limits })
  const listener = await listenTo(world, 'd2', 'open/#', 0)
  return { world, listener }
}

async function heard(listener: RawClient, count: number): Promise<readonly string[]> {
  await listener.next('publish', count)
  return listener.all('publish').map(({ payload }) => payload.toString())
}

function bytesOf(...packets: readonly Packet[]): Buffer {
  return Buffer.concat(packets.map((packet) => mqttPacket.generate(packet)))
}
