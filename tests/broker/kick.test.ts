import assert from 'node:assert/strict'
import test from 'node:test'
import { makeWorld, publishPacket, subscribePacket, until } from './harness.js'

test('a kicked session loses its connection, its will speaks, and it comes back to what it had', async (t) => {
  const world = await makeWorld(t)
  const witness = await world.raw('w')
  await witness.connect('w')
  witness.send(subscribePacket(1, ['open/#', 1]))
  await witness.next('suback')
  const client = await world.raw('d')
  await client.connect('d', {
    clean: false,
    will: { topic: 'open/gone', payload: Buffer.from('d'), qos: 0, retain: false },
  })
  client.send(subscribePacket(1, ['f/d/#', 1]))
  await client.next('suback')

  assert.deepEqual(world.broker.kick('d', { forget: false }), { ended: true, purged: 0 })
  await client.closed
  assert.equal((await witness.next('publish')).topic, 'open/gone')
  assert.equal(world.records('session.end').find(({ device }) => device === 'd')?.reason, 'kicked')

  const again = await world.raw('d')
  assert.equal((await again.connect('d', { clean: false })).sessionPresent, true)
})

test('a forgotten session leaves nothing to come back to, and what waited for it is on record as lost', async (t) => {
  const world = await makeWorld(t)
  const client = await world.raw('d')
  await client.connect('d', { clean: false })
  client.send(subscribePacket(1, ['open/#', 1]))
  await client.next('suback')
  client.socket.destroy()
  await until(() => world.broker.sessions().every(({ connected }) => !connected))
  const other = await world.raw('o')
  await other.connect('o')
  other.send(publishPacket('open/1', 'x', { qos: 1, messageId: 1 }))
  await other.next('puback')

  assert.deepEqual(world.broker.kick('d', { forget: true }), { ended: false, purged: 1 })
  assert.deepEqual(
    world.records('message.drop').map(({ device, reason, count }) => [device, reason, count]),
    [['d', 'forgotten', 1]],
  )
  const again = await world.raw('d')
  assert.equal((await again.connect('d', { clean: false })).sessionPresent, false)
})

test('a client of MQTT 5 is told that it was an administrative action, and a delayed will waits for it to come back', async (t) => {
  const world = await makeWorld(t)
  const client = await world.raw('d', {}, 5)
  const will = { topic: 'open/gone', payload: Buffer.from('d'), qos: 0, retain: false } as const
  await client.connect('d', {
    clean: false,
    properties: { sessionExpiryInterval: 60 },
    will: { ...will, properties: { willDelayInterval: 30 } },
  })
  world.broker.kick('d', { forget: false })
  assert.equal((await client.next('disconnect')).reasonCode, 0x98)
  await client.closed
  const again = await world.raw('d', {}, 5)
  const connack = await again.connect('d', { clean: false, properties: { sessionExpiryInterval: 60 } })
  assert.deepEqual([connack.sessionPresent, world.records('message.publish').length], [true, 0])
})

test('there is nothing to kick where there is no session', async (t) => {
  const world = await makeWorld(t)
  assert.equal(world.broker.kick('nobody', { forget: true }), undefined)
})
