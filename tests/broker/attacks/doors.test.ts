import assert from 'node:assert/strict'
import test from 'node:test'
import { atBothLevels, codeOf, cut, heard, join, lasting, makeOpenWorld, subscribe } from '../conformance/peer.js'
import { connectPacket, makeWorld, policySource, publishPacket, type RawClient, until, type World } from '../harness.js'

/* Attack cases 42, 44, 46, 48, 69 and 70: CONNECTs that want too much, come too often, or leave a will behind. */

const gapless = (world: World): void => {
  const sessions = new Map<string, number>()
  for (const record of world.audit.records) {
    if (!('sessionIndex' in record)) continue
    const expected = sessions.get(record.session) ?? 0
    assert.equal(record.sessionIndex, expected, `${record.event} of ${record.session}`)
    sessions.set(record.session, expected + 1)
  }
}

/** 46, 69 */
atBothLevels('a will that policy would not let speak, or that has no topic, refuses the CONNECT', async (t, level) => {
  const world = await makeWorld(t, { policy: policySource().replace('retain: true', 'retain: false') })
  const fixed = { topic: 'open/w', payload: Buffer.from('x'), qos: 0, retain: false } as const
  const refused = [{ qos: 2 }, { retain: true }, { topic: '$SYS/x' }, { topic: '$ctl/x' }, { topic: 'f/d2/x' }] as const
  for (const change of refused) {
    const client = await world.raw('d1', {}, level)
    assert.equal(codeOf(await client.connect('d1', { will: { ...fixed, ...change } })), level === 5 ? 0x87 : 5)
    await client.closed
  }
  for (const topic of ['open/+', 'open/#', '#', 'a\0b']) {
    const client = await world.raw('d1', {}, level)
    client.send(connectPacket('d1', { protocolVersion: level, will: { ...fixed, topic } }))
    await client.closed
    assert.equal(client.received.length, 0)
  }
  assert.equal(world.records('session.connect').length, 0)
})

/** 44 */
test('a will with properties that have no place there, come twice or are too many refuses the CONNECT', async (t) => {
  const world = await makeOpenWorld(t)
  const connect = (...properties: readonly number[]) => {
    const body = [0, 4, ...Buffer.from('MQTT'), 5, 0x06, 0, 60, 0, 0, 2, ...Buffer.from('d1')]
    body.push(properties.length, ...properties, 0, 1, 0x77, 0, 1, 0x78)
    return Buffer.from([0x10, body.length, ...body])
  }
  const proper = await world.raw('d1', {}, 5)
  proper.write(connect(0x18, 0, 0, 0, 9))
  assert.equal((await proper.next('connack')).reasonCode, 0)
  for (const properties of [
    [0x11, 0, 0, 0, 9], // session expiry
    [0x18, 0, 0, 0, 9, 0x18, 0, 0, 0, 9],
    [0x01, 2],
    [0x08, 0, 0],
    [0x08, 0, 1, 0x23],
    [0x23, 0, 1],
    [0x7f],
    [0x18, 0, 0],
  ]) {
    const client = await world.raw('d1', {}, 5)
    client.write(connect(...properties))
    await client.closed
    assert.equal(client.received.length, 0)
  }
  await proper.ping()
})

/** 44, 70 */
test('before CONNECT is answered nothing large, foreign or out of turn is taken', async (t) => {
  const world = await makeOpenWorld(t)
  for (const [bytes, reason] of [
    [[0x10, 0xff, 0xff, 0xff, 0x7f], 'packet_too_large'],
    [[0x10, 0x81, 0x80, 0x08], 'packet_too_large'], // one byte over
    [[0x20, 0x02, 0, 0], 'protocol_violation'], // CONNACK
    [[0xc0, 0x00], 'protocol_violation'],
    [[0x30, 0x05, 0, 1, 0x74, 0, 0], 'protocol_violation'],
    [[0x00, 0x00], 'protocol_violation'],
  ] as const) {
    const before = world.records('session.refuse').length
    const client = await world.raw('d1')
    client.write(Buffer.from(bytes))
    await client.closed
    world.clock += 11_000
    await until(() => world.records('session.refuse').length > before)
    assert.equal(world.records('session.refuse').at(-1)?.reason, reason)
  }
})

test('sessions of a device that open all at once are as many as its roles allow, and no more', async (t) => {
  const world = await makeWorld(t)
  world.audit.hold()
  const ids = ['d1', 'd1~a', 'd1~b', 'd1~c', 'd1~d', 'd1~e']
  const clients = await Promise.all(ids.map(() => world.raw('d1', {}, 5)))
  for (const [at, client] of clients.entries()) {
    client.send(connectPacket(ids[at] ?? '', { protocolVersion: 5 }))
    await until(() => world.records('session.connect').length === at + 1)
  }
  world.audit.release()
  const codes = await Promise.all(clients.map(async (client) => codeOf(await client.next('connack'))))
  assert.deepEqual(codes, [0, 0, 0, 0x87, 0x87, 0x87])
  assert.equal(world.broker.sessions().length, 3)
  await Promise.all(clients.slice(3).map(({ closed }) => closed))
  gapless(world)
})

atBothLevels(
  'fifty connections that take over from each other leave one, and every message is delivered once',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const speaker = await join(world, 'd1', level)
    const first = await join(world, 'd2', level, lasting(level))
    await subscribe(first, ['t/#', 2])
    const clients: RawClient[] = [first]
    const sent: string[] = []
    for (let round = 0; round < 10; round++) {
      const racing = await Promise.all(Array.from({ length: 5 }, () => world.raw('d2', {}, level)))
      for (const client of racing) client.send(connectPacket('d2', { protocolVersion: level, ...lasting(level) }))
      const payload = `message ${round}`
      speaker.send(publishPacket('t/x', payload, { qos: 2, messageId: round + 1 }))
      await speaker.next('pubrec', round + 1)
      speaker.send({ cmd: 'pubrel', messageId: round + 1 })
      sent.push(payload)
      clients.push(...racing)
      await until(() => clients.filter(({ socket }) => !socket.closed).length === 1)
    }
    const last = clients.find(({ socket }) => !socket.closed)
    assert.ok(last)
    // Nobody has acknowledged anything: all is sent again, in order, to the one who is left.
    await last.next('publish', sent.length)
    await last.ping()
    assert.deepEqual(heard(last), sent)
    assert.equal(world.broker.levels().inflightMessages, sent.length)
    gapless(world)
  },
)

atBothLevels(
  'the will of a connection speaks when another takes over, once, and the will of the new one is kept',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const listener = await join(world, 'd3', level)
    await subscribe(listener, ['w/#', 1])
    const will = (payload: string) => ({ topic: 'w/x', payload: Buffer.from(payload), qos: 1, retain: false }) as const
    await join(world, 'd1', level, { ...lasting(level), will: will('of the first') })
    const second = await join(world, 'd1', level, { ...lasting(level), will: will('of the second') })
    await listener.next('publish')
    await second.ping()
    assert.deepEqual(heard(listener), ['of the first'])
    await cut(world, second)
    await listener.next('publish', 2)
    assert.deepEqual(heard(listener), ['of the first', 'of the second'])
    for await (const [key] of world.store.entries('broker/will/')) assert.fail(key)
  },
)

/** 48 */
test('a will that a restart has found is held to the rights of now, and published once', async (t) => {
  const world = await makeWorld(t)
  const fixed = { payload: Buffer.from('gone'), qos: 1, retain: false } as const
  for (const [id, topic] of [
    ['d1', 'open/w'],
    ['d2', 'f/d2/w'],
  ] as const)
    await (await world.raw(id)).connect(id, { will: { ...fixed, topic } })
  world.setPolicy(
    policySource().replace(
      'topics: ["f/${device.id}/#", "open/#"], qos: { max: 1 }, retain',
      'topics: ["f/${device.id}/#"], qos: { max: 1 }, retain',
    ),
  )
  await world.restart()
  await world.restart()
  world.clock += 11_000
  await until(() => world.records('message.publish').length === 2)
  assert.deepEqual(
    new Map(world.records('message.publish').map(({ device, action, decision }) => [device, [action, decision]])),
    new Map([
      ['d1', ['will', 'deny']],
      ['d2', ['will', 'allow']],
    ]),
  )
  await until(() => world.broker.sessions().length === 0)
  await world.restart()
  world.clock += 11_000
  await (await join(world, 'd3', 4)).ping()
  assert.equal(world.records('message.publish').filter(({ action }) => action === 'will').length, 2)
})
