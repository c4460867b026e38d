import assert from 'node:assert/strict'
import test from 'node:test'
import { policySource, publishPacket, subscribePacket, until, makeWorld, type World } from './harness.js'

/* The log commits to a payload where it is given one beside a record; what the log's double was given shows which. */

test('every message that a device publishes is committed to once, however it is said', async (t) => {
  const world = await makeWorld(t)
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  speaker.send(publishPacket('open/x', 'zero'), publishPacket('open/x', 'one', { qos: 1, messageId: 1 }))
  speaker.send(publishPacket('open/x', '', { qos: 1, messageId: 2 }))
  await speaker.next('puback', 2)
  assert.deepEqual(committed(world), ['zero', 'one', ''])
})

test('a message of QoS 1 that is sent again is a second record with a commitment of its own', async (t) => {
  const world = await makeWorld(t)
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  for (const dup of [false, true]) speaker.send(publishPacket('open/x', 'again', { qos: 1, messageId: 1, dup }))
  await speaker.next('puback', 2)
  assert.deepEqual(committed(world), ['again', 'again'])
})

test('a message of QoS 2 that is sent again has the one record that it has, and the one commitment', async (t) => {
  const world = await makeWorld(t, { policy: policySource().replaceAll('max: 1 }', 'max: 2 }') })
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  for (const dup of [false, true, true]) speaker.send(publishPacket('open/x', 'twice', { qos: 2, messageId: 7, dup }))
  await speaker.next('pubrec', 3)
  speaker.send({ cmd: 'pubrel', messageId: 7 })
  await speaker.next('pubcomp')
  assert.deepEqual(committed(world), ['twice'])
})

test('a will is committed to when it is published, and what is delivered or retained not once more', async (t) => {
  const world = await makeWorld(t)
  const [speaker, listener] = [await world.raw('d1'), await world.raw('d2')]
  await speaker.connect('d1', { will: { topic: 'open/x', payload: Buffer.from('gone'), qos: 1, retain: false } })
  await listener.connect('d2')
  listener.send(subscribePacket(1, ['open/#', 1]))
  await listener.next('suback')
  speaker.send(publishPacket('open/x', 'said', { qos: 1, messageId: 1 }))
  await speaker.next('puback')
  assert.deepEqual(committed(world), ['said'])
  speaker.socket.destroy()
  await listener.next('publish', 2)
  assert.deepEqual(committed(world), ['said', 'gone'])
  assert.equal(world.records('message.deliver').length, 2)
})

test('of refusals alike the first is committed to; their count stands for many and commits to none', async (t) => {
  const world = await makeWorld(t, { policy: policySource('onDenyPublish: drop') })
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  for (const payload of ['first', 'second', 'third']) speaker.send(publishPacket('closed/x', payload))
  await speaker.ping()
  speaker.send({ cmd: 'disconnect' })
  await speaker.closed
  await until(() => world.records('message.publish').length === 2)
  assert.deepEqual(committed(world), ['first'])
  assert.deepEqual(
    world.records('message.publish').map(({ count }) => count),
    [undefined, 2],
  )
})

/** What the log was asked to commit to, in the order of the records; each belongs to a message.publish. */
function committed({ audit }: World): readonly string[] {
  return [...audit.payloads].map(([sequence, payload]) => {
    assert.equal(audit.records[sequence]?.event, 'message.publish')
    return Buffer.from(payload).toString()
  })
}
