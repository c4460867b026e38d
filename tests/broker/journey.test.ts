import assert from 'node:assert/strict'
import test from 'node:test'
import { makeWorld, publishPacket, subscribePacket, until } from './harness.js'

test('a device connects, subscribes, publishes and hears itself over TLS; all of it is recorded in order', async (t) => {
  const world = await makeWorld(t)
  const client = await world.client('d1')
  const [granted] = await client.subscribeAsync('f/d1/#', { qos: 1 })
  assert.equal(granted?.qos, 1)
  const heard = new Promise<string>((resolve) => {
    client.once('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`))
  })
  await client.publishAsync('f/d1/t', 'hello', { qos: 1 })
  assert.equal(await heard, 'f/d1/t hello')
  await client.endAsync()
  await until(() => world.records('session.end').length === 1)
  assert.deepEqual(
    world.audit.records.map(({ event }) => event),
    ['session.connect', 'message.subscribe', 'message.publish', 'message.deliver', 'session.end'],
  )
  assert.deepEqual(
    world.audit.records.map((record) => 'sessionIndex' in record && record.sessionIndex),
    [0, 1, 2, 3, 4],
  )
  assert.equal(world.records('session.end')[0]?.reason, 'client')
})

test('a published message reaches every other device that may hear it, at the lower of both QoS', async (t) => {
  const world = await makeWorld(t)
  const [one, other, speaker] = [await world.raw('d1'), await world.raw('d2'), await world.raw('d3')]
  await one.connect('d1')
  await other.connect('d2')
  await speaker.connect('d3')
  one.send(subscribePacket(1, ['open/+', 0]))
  other.send(subscribePacket(1, ['open/#', 1]))
  await one.next('suback')
  await other.next('suback')
  speaker.send(publishPacket('open/x', 'news', { qos: 1, messageId: 9 }))
  assert.equal((await one.next('publish')).qos, 0)
  assert.equal((await other.next('publish')).qos, 1)
  assert.equal((await speaker.next('puback')).messageId, 9)
})
