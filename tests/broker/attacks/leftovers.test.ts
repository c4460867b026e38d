import assert from 'node:assert/strict'
import test from 'node:test'
import { cut, heard, join, type Level, lasting, makeOpenWorld, publishAll, subscribe } from '../conformance/peer.js'
import { device, publishPacket, type RawClient, until, type World } from '../harness.js'

/* What an ended session leaves in the store: nothing. Attack cases 25, 27, 47, 52, 71 and 73. */

async function rowsOf({ store }: World): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const [key] of store.entries('broker/')) keys.push(key)
  return keys
}

async function untilEmpty(world: World): Promise<void> {
  let rows = await rowsOf(world)
  const deadline = Date.now() + 5000
  while (rows.length > 0 && Date.now() < deadline) {
    await new Promise((resolve) => setImmediate(resolve))
    rows = await rowsOf(world)
  }
  assert.deepEqual(rows, [])
}

/** A session with a row of every kind: subscriptions, waiting, sent and released messages, a received one, and a will. */
async function makeFullSession(world: World, level: Level): Promise<RawClient> {
  const properties = level === 5 ? { willDelayInterval: 1000 } : {}
  const will = { topic: 't/will', payload: Buffer.from('will'), qos: 1, retain: false, properties } as const
  const client = await join(world, 'd2', level, { ...lasting(level), will })
  await subscribe(client, ['t/#', 2], ['u/#', 1])
  const speaker = await join(world, 'd1', 4)
  await publishAll(speaker, ['u/1', 'sent', { qos: 1 }])
  speaker.send(publishPacket('t/2', 'released', { qos: 2, messageId: 1 }))
  await speaker.next('pubrec')
  speaker.send({ cmd: 'pubrel', messageId: 1 })
  await client.next('publish', 2)
  const { messageId = 0 } = client.all('publish')[1] ?? {}
  client.send({ cmd: 'pubrec', messageId })
  await client.next('pubrel')
  client.send(publishPacket('v/x', 'received', { qos: 2, messageId: 9 }))
  await client.next('pubrec')
  await cut(world, client)
  await publishAll(speaker, ['u/3', 'waiting', { qos: 1 }])
  const kinds = new Set((await rowsOf(world)).map((key) => key.split('/')[1]))
  const [will3, will5] = [
    ['queue', 'received', 'session', 'subscription'],
    ['queue', 'received', 'session', 'subscription', 'will'],
  ]
  assert.deepEqual([...kinds].sort(), level === 5 ? will5 : will3)
  speaker.send({ cmd: 'disconnect' })
  await speaker.closed
  return client
}

const endings: Readonly<Record<string, (world: World, level: Level) => Promise<void> | void>> = {
  'its time is over': (world) => void (world.clock += 8 * 24 * 3_600_000),
  'its device is revoked': (world) => {
    world.refused.set(device('d2'), 'revoked')
    world.broker.endDevices([device('d2')], 'revoked')
  },
  'an operator forgets it': (world) => void world.broker.kick('d2', { forget: true }),
  'its client starts clean and says goodbye': async (world, level) => {
    const client = await join(world, 'd2', level, { clean: true })
    client.send({ cmd: 'disconnect' })
    await client.closed
  },
  'its client comes back for once only': async (world, level) => {
    const client = await join(world, 'd2', level, level === 5 ? { clean: false } : { clean: true })
    await cut(world, client)
  },
  'its device is not served any more after a restart': async (world) => {
    world.refused.set(device('d2'), 'revoked')
    await world.restart()
  },
  'its time is over after a restart': async (world) => {
    await world.restart()
    world.clock += 8 * 24 * 3_600_000
  },
}

for (const [ending, end] of Object.entries(endings)) {
  for (const level of [4, 5] as const) {
    test(`nothing is left of a session when ${ending} (level ${level})`, async (t) => {
      const world = await makeOpenWorld(t)
      await makeFullSession(world, level)
      await end(world, level)
      await untilEmpty(world)
    })
  }
}

test('a session that says goodbye with expiry 0 leaves nothing, one that never had any cannot ask for more', async (t) => {
  const world = await makeOpenWorld(t)
  await makeFullSession(world, 5)
  const client = await join(world, 'd2', 5, lasting(5))
  client.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } })
  await client.closed
  await untilEmpty(world)

  const brief = await join(world, 'd2', 5)
  brief.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 60 } })
  assert.equal((await brief.next('disconnect')).reasonCode, 0x82)
  await brief.closed
  await untilEmpty(world)
})

test('a session that began brief and comes back lasting is kept from then on', async (t) => {
  const world = await makeOpenWorld(t)
  const brief = await join(world, 'd2', 5, { clean: false })
  await subscribe(brief, ['t/#', 1])
  const lastingOne = await join(world, 'd2', 5, lasting(5)) // takes over a session that ends with its connection
  assert.equal(lastingOne.all('connack')[0]?.sessionPresent, false)
  await subscribe(lastingOne, ['t/#', 1])
  await cut(world, lastingOne)
  await world.restart()
  const again = await world.raw('d2', {}, 5)
  assert.equal((await again.connect('d2', { clean: false })).sessionPresent, true)
})

test('a QoS 2 message that is still being recorded when its session ends leaves no row behind', async (t) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd2', 5, lasting(5))
  world.audit.hold()
  client.send(publishPacket('t/x', 'x', { qos: 2, messageId: 1 }))
  await until(() => world.records('message.publish').length === 1)
  world.broker.kick('d2', { forget: true })
  world.audit.release()
  await client.closed
  await until(() => world.broker.sessions().length === 0)
  await untilEmpty(world)
  await world.restart()
  assert.equal(world.records('store.quarantine').length, 0)
})

test('65,535 QoS 2 messages without PUBREL end the connection at the limit; clean sessions with fresh identifiers leave nothing', async (t) => {
  const world = await makeOpenWorld(t, { maxReceived: 500 })
  for (let round = 0; round < 5; round++) {
    const client = await join(world, 'd1', 5)
    client.send(
      ...Array.from({ length: 501 }, (_, at) => publishPacket('t/x', 'x', { qos: 2, messageId: at + 1 + round * 501 })),
    )
    assert.equal((await client.next('disconnect')).reasonCode, 0x93)
    await client.closed
  }
  await untilEmpty(world)
  assert.equal(world.broker.sessions().length, 0)
})

test('the will of a revoked device is gone: the one that waits for its delay, and the one that waits in the store', async (t) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd3', 5)
  await subscribe(listener, ['t/#', 1])
  const will = { topic: 't/will', payload: Buffer.from('last words'), qos: 1, retain: true } as const
  const delayed = await join(world, 'd1', 5, {
    ...lasting(5),
    will: { ...will, properties: { willDelayInterval: 60 } },
  })
  await cut(world, delayed)
  world.refused.set(device('d1'), 'revoked')
  world.broker.endDevices([device('d1')], 'revoked')
  const stored = await join(world, 'd2', 4, { clean: false, will })
  await world.restart()
  await stored.closed
  world.refused.set(device('d2'), 'revoked')
  world.broker.endDevices([device('d2')], 'revoked')
  world.clock += 3_600_000
  const later = await join(world, 'd4', 5)
  await subscribe(later, ['t/#', 1])
  await later.ping()
  assert.deepEqual([heard(listener), heard(later)], [[], []])
  await untilEmpty(world)
})
