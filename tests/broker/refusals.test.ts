import assert from 'node:assert/strict'
import test from 'node:test'
import type { AuditRecord } from '#protocol'
import { listenTo, makeWorld, policySource, publishPacket, subscribePacket, until } from './harness.js'

type Counted = Extract<AuditRecord, { event: 'message.publish' | 'message.subscribe' | 'message.deliver' }>

const total = (records: readonly Counted[]) => records.reduce((sum, { count = 1 }) => sum + count, 0)
const isRefused = ({ decision }: Counted) => decision === 'deny'
const brief = ({ topic, reason, count }: Counted) => [topic, reason, count]

test('5,000 pipelined publishes over a rate: the excess is one record more with its exact number, and others are served', async (t) => {
  const limited = policySource('onDenyPublish: drop').replace(
    '"open/#"], qos: { max: 1 }, retain: true }',
    '"open/#"], qos: { max: 1 }, retain: true, rate: { messages: 50, per: 1s, burst: 50 } }',
  )
  const world = await makeWorld(t, { policy: limited })
  const [loud, neighbour] = [await world.raw('d1'), await world.raw('d2')]
  await loud.connect('d1')
  await neighbour.connect('d2')
  neighbour.send(subscribePacket(1, ['f/d2/#', 1]))
  await neighbour.next('suback')

  loud.send(...Array.from({ length: 5000 }, (_, at) => publishPacket('f/d1/t', 'x', { qos: 1, messageId: at + 1 })))
  neighbour.send(publishPacket('f/d2/t', 'x', { qos: 1, messageId: 1 }))
  await neighbour.next('puback')
  await neighbour.next('publish')
  await loud.next('puback', 5000)
  const published = () => world.records('message.publish').filter(({ device }) => device === 'd1')
  assert.deepEqual(
    [published().length, published().filter(isRefused).map(brief)],
    [51, [['f/d1/t', 'rate', undefined]]],
  )
  world.clock += 11_000
  await until(() => published().length === 52)
  assert.deepEqual(published().filter(isRefused).map(brief).at(-1), ['f/d1/t', 'rate', 4949])
})

test('refusals are counted by session, reason and topic, and together once a device is refused too many topics', async (t) => {
  const world = await makeWorld(t, {
    policy: policySource('onDenyPublish: drop'),
    limits: { maxRefusedTopicsPerDevice: 2 },
  })
  const client = await world.raw('d1')
  await client.connect('d1')
  client.send(
    ...['a', 'b', 'a', 'c', 'd', 'a', 'e'].map((topic) => publishPacket(topic, 'x')),
    subscribePacket(1, ['a', 1], ['b', 1], ['c', 1]),
  )
  await client.next('suback')
  client.send({ cmd: 'disconnect' })
  await client.closed
  await until(() => world.records('session.end').length === 1)
  assert.deepEqual(world.records('message.publish').map(brief), [
    ['a', 'no_rule', undefined],
    ['b', 'no_rule', undefined],
    ['', 'no_rule', undefined],
    ['a', 'no_rule', 2],
    ['', 'no_rule', 2],
  ])
  assert.deepEqual(world.records('message.subscribe').map(brief), [
    ['', 'not_contained', undefined],
    ['', 'not_contained', 2],
  ])
  const indexes = world.audit.records.map((record) => 'sessionIndex' in record && record.sessionIndex)
  assert.deepEqual(
    indexes,
    indexes.map((_, at) => at),
  )
  assert.equal(world.audit.records.at(-1)?.event, 'session.end')
})

test('a new session of a device brings no new budget, and a window that has passed begins anew', async (t) => {
  const world = await makeWorld(t, {
    policy: policySource('onDenyPublish: drop'),
    limits: { maxRefusedTopicsPerDevice: 1 },
  })
  for (const topic of ['a', 'b']) {
    const client = await world.raw('d1')
    await client.connect('d1')
    client.send(publishPacket(topic, 'x', { qos: 1, messageId: 1 }))
    await client.next('puback')
    client.socket.destroy()
  }
  world.clock += 11_000
  const client = await world.raw('d1')
  await client.connect('d1')
  client.send(publishPacket('c', 'x', { qos: 1, messageId: 1 }))
  await client.next('puback')
  assert.deepEqual(
    world.records('message.publish').map(({ topic }) => topic),
    ['a', '', 'c'],
  )
})

test('deliveries that policy withholds are counted to the last one', async (t) => {
  const world = await makeWorld(t)
  const listener = await listenTo(world, 'd2', 'open/#', 1)
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  speaker.send(
    ...Array.from({ length: 20 }, (_, at) => publishPacket('open/secret', 'x', { qos: 1, messageId: at + 1 })),
  )
  await speaker.next('puback', 20)
  await world.broker.closeGracefully()
  assert.equal(listener.all('publish').length, 0)
  assert.equal(world.records('message.deliver').length, 2)
  assert.equal(total(world.records('message.deliver')), 20)
})

test('what was accepted to be retained is kept, however fast it came; a will has to find room like all else', async (t) => {
  const world = await makeWorld(t, { limits: { maxRetainedPerDevice: 1 } })
  const will = { topic: 'open/will', payload: Buffer.from('gone'), qos: 1, retain: true } as const
  const client = await world.raw('d1')
  await client.connect('d1', { will })
  world.audit.hold()
  client.send(
    publishPacket('open/a', 'x', { qos: 1, messageId: 1, retain: true }),
    publishPacket('open/b', 'x', { qos: 1, messageId: 2, retain: true }),
  )
  await until(() => world.records('message.publish').length === 2)
  world.audit.release()
  await client.next('puback', 2)
  client.socket.destroy()
  await until(() => world.records('session.end').length === 1)
  assert.equal(world.records('message.publish').at(-1)?.reason, 'quota')
  const kept: string[] = []
  for await (const [key] of world.store.entries('broker/retained/')) kept.push(key)
  assert.deepEqual(kept, ['broker/retained/open/a', 'broker/retained/open/b'])
})

test('what is over a quota says so', async (t) => {
  const world = await makeWorld(t, {
    policy: policySource('onDenyPublish: drop'),
    limits: { maxSubscriptionsPerDevice: 1, maxRetainedPerDevice: 1 },
  })
  const client = await world.raw('d1')
  await client.connect('d1')
  client.send(
    subscribePacket(1, ['open/a', 1], ['open/b', 1]),
    publishPacket('f/d1/a', 'x', { retain: true, qos: 1, messageId: 2 }),
  )
  await client.next('puback')
  client.send(publishPacket('f/d1/b', 'x', { retain: true, qos: 1, messageId: 3 }))
  await client.next('puback', 2)
  const refused = [...world.records('message.subscribe'), ...world.records('message.publish')].filter(isRefused)
  assert.deepEqual(refused.map(brief), [
    ['open/b', 'quota', undefined],
    ['f/d1/b', 'quota', undefined],
  ])
})

test('a clock that is set back keeps no window open', async (t) => {
  let elapsed = 0
  const world = await makeWorld(t, {
    policy: policySource('onDenyPublish: drop'),
    change: { elapsed: () => elapsed },
  })
  const client = await world.raw('d1')
  await client.connect('d1')
  for (const messageId of [1, 2, 3]) client.send(publishPacket('a', 'x', { qos: 1, messageId }))
  const strangers = [await world.raw('d2'), await world.raw('d2')]
  for (const stranger of strangers) await stranger.connect('another')
  await client.next('puback', 3)
  world.clock -= 3_600_000
  elapsed += 10_000
  await until(() => world.records('message.publish').length === 2 && world.records('session.refuse').length === 2)
  assert.deepEqual(world.records('message.publish').map(brief).at(-1), ['a', 'no_rule', 2])
})
