import assert from 'node:assert/strict'
import test from 'node:test'
import { atBothLevels, heard, join, makeOpenWorld, publishAll, subscribe } from '../conformance/peer.js'
import { device, makeWorld, policySource, publishPacket, subscribePacket, until } from '../harness.js'

/* Attack cases 22, 26, 28, 49, 50, 54 and 66: messages that want to go where they may not. */

/** 22 */
atBothLevels('a publish to a topic that begins with $ is denied and has no effect on anybody', async (t, level) => {
  const policy = policySource('onDenyPublish: drop').replaceAll('"open/#"', '"#"')
  const world = await makeWorld(t, { policy })
  const [victim, client] = [await world.raw('d2', {}, level), await world.raw('d1', {}, level)]
  await victim.connect('d2')
  await client.connect('d1')
  const topics = ['$SYS/evil/new/clients', '$SYS/x/heartbeat', '$SYS/x/birth', '$share/g/open/x', '$x', '$', '$/x']
  client.send(...topics.map((topic, at) => publishPacket(topic, 'd2', { qos: 1, messageId: at + 1, retain: true })))
  await client.next('puback', topics.length)
  await victim.ping()
  const records = world.records('message.publish')
  assert.deepEqual(
    [records.length, new Set(records.map(({ decision }) => decision))],
    [topics.length, new Set(['deny'])],
  )
  assert.equal(world.broker.levels().retainedMessages, 0)
})

/** 26 */
atBothLevels(
  'an identifier of QoS 2 that is in use for another topic ends the connection, and what it names goes nowhere',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    const [listener, client] = [await join(world, 'd2', level), await join(world, 'd1', level)]
    await subscribe(listener, ['t/#', 2])
    client.send(
      publishPacket('t/1', 'first', { qos: 2, messageId: 7 }),
      publishPacket('t/1', 'first', { qos: 2, messageId: 7, dup: true }),
    )
    await client.next('pubrec', 2)
    client.send(publishPacket('t/2', 'second', { qos: 2, messageId: 7 }))
    await client.closed
    await listener.next('publish')
    await listener.ping()
    assert.deepEqual(heard(listener), ['first'])
    const [end] = world.records('session.end')
    assert.deepEqual([end?.device, end?.reason], ['d1', 'protocol_error'])
    assert.equal(world.records('message.publish').length, 1)
  },
)

/** 26 */
test('QoS 2 of a device that is revoked before PUBREL, or before it is recorded, is delivered to nobody afterwards', async (t) => {
  const world = await makeOpenWorld(t)
  const [listener, client] = [await join(world, 'd2', 5), await join(world, 'd1', 5)]
  await subscribe(listener, ['t/#', 2])
  world.audit.hold()
  client.send(publishPacket('t/1', 'x', { qos: 2, messageId: 7 }), { cmd: 'pubrel', messageId: 7 })
  await until(() => world.records('message.publish').length === 1)
  world.refused.set(device('d1'), 'revoked')
  world.broker.endDevices([device('d1')], 'revoked')
  world.audit.release()
  await client.closed
  await listener.ping()
  assert.deepEqual(heard(listener), [])
})

/** 28 */
atBothLevels(
  'one byte over the limit ends the connection when the length is announced, before a byte of it is kept',
  async (t, level) => {
    const world = await makeOpenWorld(t, { maxPacketBytes: 1000 })
    const listener = await join(world, 'd2', level)
    await subscribe(listener, ['t', 0])
    const client = await join(world, 'd1', level)
    const header = 1 + 2 + 2 + 1 + (level === 5 ? 1 : 0) // type, length, topic, properties
    client.send(publishPacket('t', 'x'.repeat(1000 - header)))
    await listener.next('publish')
    client.write(Buffer.from([0x30, ...[0x80 | (998 & 0x7f), 998 >> 7]]))
    await client.closed
    assert.equal(world.records('session.end')[0]?.comment?.startsWith('PACKET_TOO_LARGE'), true)
  },
)

/** 49 */
test('an alias for a topic that is denied opens nothing: it is denied with and without its name, and 0 or too many end the connection', async (t) => {
  const world = await makeWorld(t, { policy: policySource('onDenyPublish: drop'), limits: { maxTopicAliases: 5 } })
  const [listener, client] = [await world.raw('d2', {}, 5), await world.raw('d1', {}, 5)]
  await listener.connect('d2')
  listener.send(subscribePacket(1, ['f/d2/#', 1], ['open/#', 1]))
  await listener.next('suback')
  assert.equal((await client.connect('d1')).properties?.topicAliasMaximum, 5)
  const publish = (messageId: number, topic: string, topicAlias: number) =>
    publishPacket(topic, 'x', { qos: 1, messageId, properties: { topicAlias } })
  client.send(
    publish(1, 'f/d2/x', 1),
    publish(2, '', 1),
    publish(3, 'open/x', 1),
    publish(4, '', 1),
    publish(5, 'f/d2/x', 1),
    publish(6, '', 1),
  )
  await client.next('puback', 6)
  assert.deepEqual(
    client.all('puback').map(({ reasonCode }) => reasonCode),
    [0x87, 0x87, 0, 0, 0x87, 0x87],
  )
  await listener.next('publish', 2)
  await listener.ping()
  assert.deepEqual(
    listener.all('publish').map(({ topic }) => topic),
    ['open/x', 'open/x'],
  )
  for (const alias of [0, 6]) {
    const bad = await world.raw('d3', {}, 5)
    await bad.connect('d3')
    bad.write(Buffer.from([0x30, 0x0c, 0, 6, ...Buffer.from('open/x'), 3, 0x23, 0, alias]))
    assert.equal((await bad.next('disconnect')).reasonCode, 0x94)
  }
  const stranger = await world.raw('d4', {}, 5) // aliases are of one connection
  await stranger.connect('d4')
  stranger.send(publish(1, '', 1))
  assert.equal((await stranger.next('disconnect')).reasonCode, 0x94)
})

/** 50 */
test('nobody is asked to answer to a topic that the asker may not hear, or to none', async (t) => {
  const world = await makeWorld(t)
  const [listener, client] = [await world.raw('d2', {}, 5), await world.raw('d1', {}, 5)]
  await listener.connect('d2')
  listener.send(subscribePacket(1, ['open/#', 1]))
  await listener.next('suback')
  await client.connect('d1')
  const publish = (messageId: number, responseTopic: string) =>
    publishPacket('open/x', responseTopic, { qos: 1, messageId, properties: { responseTopic } })
  client.send(publish(1, 'f/d2/answers'), publish(2, '$SYS/x'), publish(3, 'open/secret'), publish(4, 'f/d1/answers'))
  await client.next('puback', 4)
  assert.deepEqual(
    client.all('puback').map(({ reasonCode }) => reasonCode),
    [0x87, 0x87, 0x87, 0],
  )
  await listener.next('publish')
  await listener.ping()
  assert.deepEqual(heard(listener), ['f/d1/answers'])
  for (const wildcard of ['f/d1/+', '#', 'f/d1/#']) {
    const bad = await world.raw('d3', {}, 5)
    await bad.connect('d3')
    bad.send(publish(1, wildcard))
    assert.equal((await bad.next('disconnect')).reasonCode, 0x82)
  }
})

/** 50 */
test('no will asks for answers on a topic that its device may not hear: at CONNECT, and when it is to speak', async (t) => {
  const world = await makeWorld(t)
  const listener = await world.raw('d2', {}, 5)
  await listener.connect('d2')
  listener.send(subscribePacket(1, ['open/#', 1]))
  await listener.next('suback')
  const willFor = (responseTopic: string) => ({
    will: {
      topic: 'open/will',
      payload: Buffer.from('w'),
      qos: 0,
      retain: false,
      properties: { responseTopic },
    } as const,
  })
  for (const foreign of ['f/d2/answers', '$SYS/x', 'open/secret']) {
    assert.equal((await (await world.raw('d1', {}, 5)).connect('d1', willFor(foreign))).reasonCode, 0x87)
    assert.equal(world.records('session.refuse').at(-1)?.reason, 'will')
  }
  const client = await world.raw('d1', {}, 5)
  assert.equal((await client.connect('d1', willFor('open/answers'))).reasonCode, 0)
  world.setPolicy(policySource().replace('["open/secret"]', '["open/answers"]'))
  await world.broker.policyChanged()
  client.socket.destroy()
  await until(() => world.records('message.publish').length === 1)
  const [spoken] = world.records('message.publish')
  assert.deepEqual([spoken?.action, spoken?.reason], ['will', 'response_topic'])
  await listener.ping()
  assert.deepEqual(heard(listener), [])
})

/** 54 */
test('what has expired reaches nobody: not live, not from the queue, not as retained, not after a restart', async (t) => {
  const world = await makeOpenWorld(t)
  const properties = { messageExpiryInterval: 10 }
  const speaker = await join(world, 'd1', 5)
  const away = await join(world, 'd2', 5, { clean: false, properties: { sessionExpiryInterval: 3600 } })
  await subscribe(away, ['t/#', 1])
  away.send({ cmd: 'disconnect' })
  await away.closed
  await publishAll(
    speaker,
    ['t/x', 'queued', { qos: 1, retain: true, properties }],
    ['t/y', 'now', { qos: 1, properties: { messageExpiryInterval: 0 } }],
  )
  world.clock += 11_000
  const later = await join(world, 'd3', 5)
  await subscribe(later, ['t/#', 1])
  await later.ping()
  await world.restart()
  const again = await join(world, 'd2', 5, { clean: false, properties: { sessionExpiryInterval: 3600 } })
  await again.ping()
  assert.deepEqual([heard(later), heard(again)], [[], []])
  await until(() => world.broker.levels().retainedMessages === 0)
})
