import assert from 'node:assert/strict'
import test from 'node:test'
import { atBothLevels, cut, heard, join, lasting, makeOpenWorld, publishAll, subscribe } from '../conformance/peer.js'
import { makeWorld, policySource, publishPacket, subscribePacket, until, type World } from '../harness.js'

/* Attack cases 9, 11, 13 to 16, 34 and 72: filters that want more than was granted. */

const heldOf = ({ broker }: World, clientId: string) =>
  broker
    .sessions()
    .find((session) => session.clientId === clientId)
    ?.subscriptions.map(({ filter }) => filter)

/** 9 */
test('a share name or a shared filter that is none, or was not granted, is refused and stored nowhere', async (t) => {
  const policy = policySource()
    .replace('"open/#"], qos: { max: 1 } }', '"open/#", "$share/g/open/#"], qos: { max: 1 } }')
    .replace('topics: ["open/secret"]', 'topics: ["open/secret", "$share/g/open/secret"]')
  const world = await makeWorld(t, { policy })
  const client = await world.raw('d1', {}, 5)
  await client.connect('d1', { clean: false, properties: { sessionExpiryInterval: 60 } })
  const names = ['$share/g/secret/#', '$share/g', '$share//open/a', '$share/g/', '$share/h/open/#', '$SHARE/g/open/#']
  client.send(
    subscribePacket(1, ...[...names, '$share/g/$share/h/open/a', '$share/g/open/a'].map((name) => [name, 1] as const)),
  )
  const { granted } = await client.next('suback')
  assert.ok(granted.slice(0, -1).every((code) => Number(code) >= 0x80))
  assert.equal(granted.at(-1), 1)
  for (const malformed of ['$share/g+/open/a', '$share/g#/open/a', '$share/+/open/a', '$share/#']) {
    const other = await world.raw('d2', {}, 5)
    await other.connect('d2', { clean: false, properties: { sessionExpiryInterval: 60 } })
    other.send(subscribePacket(1, ['f/d2/#', 0], [malformed, 1]))
    const answer = await Promise.race([other.next('suback'), other.next('disconnect')])
    if (answer.cmd === 'disconnect') assert.equal(answer.reasonCode, 0x8f)
    else assert.ok(Number(answer.granted[1]) >= 0x80)
    other.socket.destroy()
  }
  assert.deepEqual(heldOf(world, 'd1'), ['$share/g/open/a'])
  const stored: string[] = []
  for await (const [key] of world.store.entries('broker/subscription/')) stored.push(key)
  assert.ok(stored.every((key) => key === 'broker/subscription/d1/$share/g/open/a' || key.endsWith('/d2/f/d2/#')))
})

/** 11, 34 */
atBothLevels('names that mean something to JavaScript are names like all others', async (t, level) => {
  const world = await makeOpenWorld(t)
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '__proto__/constructor']
  for (const id of ['__proto__', 'constructor', 'toString']) {
    const client = await join(world, id, level, lasting(level))
    const { granted } = await subscribe(client, ...names.map((name) => [name, 1] as const))
    assert.deepEqual(granted, [1, 1, 1, 1, 1])
    await publishAll(client, ...names.map((name) => [name, name, { qos: 1 }] as const))
    await client.next('publish', names.length)
    assert.deepEqual(heard(client), names)
    await cut(world, client)
  }
  assert.equal(world.broker.sessions().length, 3)
  await world.restart()
  assert.equal(world.broker.sessions().length, 3)
  assert.equal(world.records('store.quarantine').length, 0)
})

/** 13 */
test('subscriptions that are not recorded yet count for the quota, and so do those of siblings', async (t) => {
  const world = await makeOpenWorld(t, { maxSubscriptionsPerDevice: 10 })
  const [one, other] = [await join(world, 'd1~a', 5), await join(world, 'd1~b', 5)]
  world.audit.hold()
  const packets = (name: string) =>
    [0, 1, 2, 3].map((nth) =>
      subscribePacket(nth + 1, ...[0, 1, 2, 3, 4].map((at) => [`${name}/${nth}/${at}`, 0] as const)),
    )
  one.send(...packets('one'))
  await until(() => world.records('message.subscribe').length === 20)
  other.send(...packets('other'))
  await until(() => world.records('message.subscribe').length === 40)
  world.audit.release()
  await Promise.all([one.next('suback', 4), other.next('suback', 4)])
  const codes = [...one.all('suback'), ...other.all('suback')].flatMap(({ granted }) => granted)
  assert.deepEqual([codes.filter((code) => code === 0).length, codes.filter((code) => code === 0x97).length], [10, 30])
  assert.equal(world.broker.levels().subscriptions, 10)
  one.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['one/0/0'] })
  await one.next('unsuback')
  assert.deepEqual((await subscribe(other, ['one/0/0', 0], ['too/much', 0])).granted, [0, 0x97])
})

/** 13 */
test('a filter of very many levels counts like several, and no more once it is given up', async (t) => {
  const world = await makeOpenWorld(t, { maxSubscriptionsPerDevice: 10 })
  const client = await join(world, 'd1', 5, lasting(5))
  const deep = `${'x/'.repeat(127)}y`
  assert.deepEqual(
    (await subscribe(client, [deep, 0], ['a', 0], [`y/${deep.slice(2)}`, 0], [deep, 0])).granted,
    [0, 0, 0x97, 0],
  )
  await cut(world, client)
  await world.restart()
  const again = await join(world, 'd1', 5, lasting(5))
  assert.deepEqual((await subscribe(again, ['b', 0], ['c', 0])).granted, [0, 0x97])
  again.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: [deep] })
  await again.next('unsuback')
  assert.deepEqual((await subscribe(again, ['c', 0], ['d', 0])).granted, [0, 0])
})

/** 14 */
atBothLevels('the same filter several times has as many answers, and the last one counts', async (t, level) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', level)
  assert.deepEqual((await subscribe(client, ['t', 2], ['u', 0], ['t', 0], ['t', 1])).granted, [2, 0, 0, 1])
  await publishAll(client, ['t', 'x', { qos: 2 }])
  const { qos } = await client.next('publish')
  assert.equal(qos, 1)
  assert.deepEqual(heldOf(world, 'd1')?.map(String).sort(), ['t', 'u'])
})

/** 15 */
test('a cap on QoS shows in SUBACK and in every delivery, also through a wildcard', async (t) => {
  const world = await makeWorld(t, {
    policy: policySource()
      .replaceAll('[publish, will]', '[publish]')
      .replace('qos: { max: 1 }, retain', 'qos: { max: 2 }, retain'),
  })
  const [listener, speaker] = [await world.raw('d2', {}, 5), await world.raw('d1', {}, 5)]
  await listener.connect('d2')
  await speaker.connect('d1')
  listener.send(subscribePacket(1, ['open/#', 2], ['open/+/x', 2]))
  assert.deepEqual((await listener.next('suback')).granted, [1, 1])
  speaker.send(publishPacket('open/a/x', 'x', { qos: 2, messageId: 1, retain: true }))
  assert.equal((await listener.next('publish')).qos, 1)
  listener.send(subscribePacket(2, ['open/a/+', 2]))
  assert.equal((await listener.next('publish', 2)).qos, 1)
})

/** 16, 72 */
test('a filter beyond what was granted is refused, never narrowed: not one retained message of others comes, nor $SYS', async (t) => {
  const world = await makeWorld(t)
  const [speaker, client] = [await world.raw('d1'), await world.raw('d2')]
  await speaker.connect('d1')
  speaker.send(
    publishPacket('open/x', 'open', { qos: 1, messageId: 1, retain: true }),
    publishPacket('f/d1/x', 'of d1', { qos: 1, messageId: 2, retain: true }),
  )
  await speaker.next('puback', 2)
  await client.connect('d2')
  const filters = ['#', '+/#', 'f/#', 'f/+/x', '$SYS/#', '$SYS/broker/uptime', '+/broker/uptime']
  client.send(subscribePacket(1, ...filters.map((filter) => [filter, 0] as const)))
  assert.ok((await client.next('suback')).granted.every((code) => code === 0x80))
  await client.ping()
  assert.deepEqual([client.all('publish').length, heldOf(world, 'd2')], [0, []])
})

/** 95 */
atBothLevels('filters that are taken and given up without end are refused once they are too many', async (t, level) => {
  const world = await makeOpenWorld(t, { filterChangesAtOnce: 4, filterChangesPerSecond: 1 })
  const refused = level === 5 ? 0x97 : 0x80
  const client = await join(world, 'd1~a', level)
  assert.deepEqual((await subscribe(client, ['t', 0], ['t', 0])).granted, [0, 0])
  client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['t'] })
  await client.next('unsuback')
  assert.deepEqual((await subscribe(client, ['t', 0], ['t', 0], ['t', 0])).granted, [0, refused, refused])

  const other = await join(world, 'd1~b', level) // another session brings no new budget
  assert.deepEqual((await subscribe(other, ['t', 0])).granted, [refused])
  const neighbour = await join(world, 'd2', level)
  assert.deepEqual((await subscribe(neighbour, ['t', 0])).granted, [0])
  world.clock += 1000
  assert.deepEqual((await subscribe(other, ['u', 0], ['v', 0])).granted, [0, refused])
})

/** 95 */
test('to give a filter up is never refused and paid for later; what is too fast is one record and a count', async (t) => {
  const world = await makeOpenWorld(t, { filterChangesAtOnce: 1, filterChangesPerSecond: 1 })
  const client = await join(world, 'd1', 5)
  await subscribe(client, ['t', 0])
  world.audit.hold()
  for (const messageId of [1, 2, 3]) client.send({ cmd: 'unsubscribe', messageId, unsubscriptions: ['t'] })
  await until(() => world.records('message.unsubscribe').length === 3)
  world.audit.release()
  assert.deepEqual((await client.next('unsuback', 3)).granted, [0x11])
  world.clock += 3000 // pays for what is owed, and no more
  await subscribe(client, ['t', 0], ['t', 0], ['t', 0])
  world.clock += 11_000
  const refusals = () => world.records('message.subscribe').filter(({ decision }) => decision === 'deny')
  await until(() => refusals().length === 2)
  assert.deepEqual(
    refusals().map(({ topic, reason, count }) => [topic, reason, count]),
    [
      ['t', 'rate', undefined],
      ['t', 'rate', 2],
    ],
  )
  assert.deepEqual(heldOf(world, 'd1'), [])
})

atBothLevels('very many filters in one packet are judged in turns, and others speak between them', async (t, level) => {
  const world = await makeOpenWorld(t, { packetsPerTurn: 5, maxSubscriptionsPerDevice: 2000 })
  const [client, neighbour] = [await join(world, 'd1', level), await join(world, 'd2', level)]
  const filters = Array.from({ length: 1000 }, (_, number) => [`t/${number}`, 0] as const)
  client.send(subscribePacket(1, ...filters))
  neighbour.send(publishPacket('t', 'meanwhile'))
  const { granted } = await client.next('suback')
  assert.deepEqual(
    granted,
    filters.map(() => 0),
  )
  assert.equal(heldOf(world, 'd1')?.length, 1000)
  const topics = world.audit.records.flatMap((record) => ('topic' in record ? [record.topic] : []))
  assert.ok(topics.indexOf('t') < topics.indexOf('t/999'))
})

test('who goes while its filters are judged has none of them, and may ask for them all again', async (t) => {
  const world = await makeOpenWorld(t, { packetsPerTurn: 1 })
  const filters = Array.from({ length: 1000 }, (_, number) => [`t/${number}`, 0] as const)
  const client = await world.raw('d1', {}, 5)
  await client.connect('d1', lasting(5))
  client.send(subscribePacket(1, ...filters))
  await until(() => world.records('message.subscribe').length > 2)
  world.broker.kick('d1', { forget: false })
  await client.closed
  assert.deepEqual(heldOf(world, 'd1'), [])
  const back = await join(world, 'd1', 5)
  assert.deepEqual(
    (await subscribe(back, ...filters)).granted,
    filters.map(() => 0),
  )
})
