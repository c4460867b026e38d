import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { connect as tcpConnect, type Socket } from 'node:net'
import test from 'node:test'
import type { World } from './harness.js'
import { device, makeWorld, policySource, publishPacket, subscribePacket, until } from './harness.js'

async function retainedTopics({ store }: World): Promise<readonly string[]> {
  const topics: string[] = []
  for await (const [key] of store.entries('broker/retained/')) topics.push(key.slice('broker/retained/'.length))
  return topics
}

test('names that only look alike are other names: letter case, composed and decomposed, full-width', async (t) => {
  const policy = policySource('onDenyPublish: drop').replaceAll('"open/#"', '"caf\u00e9/#"')
  const world = await makeWorld(t, { policy })
  const client = await world.raw('d1')
  await client.connect('d1')
  const others = [
    'cafe\u0301/x',
    'CAF\u00c9/x',
    'caf\u00e9\uff0fx',
    '\uff46/d1/x',
    'f/\uff44\uff11/x',
    'f/D1/x',
    'f\u2215d1\u2215x',
  ]
  client.send(subscribePacket(1, ['caf\u00e9/#', 1], ...others.map((topic) => [topic, 1] as const)))
  const { granted } = await client.next('suback')
  assert.deepEqual(granted, [1, ...others.map(() => 0x80)])
  client.send(...others.map((topic, at) => publishPacket(topic, 'x', { qos: 1, messageId: at + 1 })))
  client.send(publishPacket('caf\u00e9/x', 'mine', { qos: 1, messageId: 99 }))
  await client.next('puback', others.length + 1)
  await client.next('publish')
  assert.deepEqual(
    world.records('message.publish').map(({ topic, decision }) => [topic, decision]),
    [...others.map((topic) => [topic, 'deny']), ['caf\u00e9/x', 'allow']],
  )
})

test('one who may hear everything hears no topic that begins with $: live, retained or queued', async (t) => {
  const policy = policySource().replaceAll('"open/#"', '"#"').replace('"#"', '"open/#", "$ctl/#"')
  const world = await makeWorld(t, { policy })
  const [listener, speaker] = [await world.raw('d2'), await world.raw('d1')]
  await listener.connect('d2', { clean: false })
  await speaker.connect('d1')
  const subscribe = subscribePacket(1, ['#', 1], ['+/x', 1])
  listener.send(subscribe)
  assert.deepEqual((await listener.next('suback')).granted, [1, 1])
  speaker.send(
    publishPacket('$ctl/x', 'live', { qos: 1, messageId: 1 }),
    publishPacket('$ctl/x', 'kept', { qos: 1, messageId: 2, retain: true }),
  )
  await speaker.next('puback', 2)
  listener.send(subscribe, { cmd: 'disconnect' })
  await listener.closed
  speaker.send(
    publishPacket('$ctl/x', 'queued', { qos: 1, messageId: 3 }),
    publishPacket('open/x', 'for all', { qos: 1, messageId: 4 }),
  )
  await speaker.next('puback', 4)
  const back = await world.raw('d2')
  await back.connect('d2', { clean: false })
  await back.next('publish')
  await back.ping()
  const heard = [...listener.all('publish'), ...back.all('publish')].map(({ payload }) => payload.toString())
  assert.deepEqual(heard, ['for all'])
  assert.deepEqual(await retainedTopics(world), ['$ctl/x'])
})

test('without the grant to retain nothing is retained, and nothing that is retained is cleared', async (t) => {
  const world = await makeWorld(t, { policy: policySource('onDenyPublish: drop') })
  const owner = await world.raw('d1')
  await owner.connect('d1')
  owner.send(publishPacket('open/state', 'kept', { qos: 1, messageId: 1, retain: true }))
  await owner.next('puback')
  world.setPolicy(policySource('onDenyPublish: drop').replace('retain: true', 'retain: false'))
  await world.broker.policyChanged()
  const other = await world.raw('d2')
  await other.connect('d2')
  other.send(
    publishPacket('open/new', 'x', { qos: 1, messageId: 1, retain: true }),
    publishPacket('open/state', 'x', { qos: 1, messageId: 2, retain: true }),
    publishPacket('open/state', '', { qos: 1, messageId: 3, retain: true }),
    publishPacket('open/state', 'passing', { qos: 1, messageId: 4 }),
  )
  await other.next('puback', 4)
  other.send(subscribePacket(1, ['open/#', 1]))
  await other.next('suback')
  assert.equal((await other.next('publish')).payload.toString(), 'kept')
  assert.deepEqual(await retainedTopics(world), ['open/state'])
})

for (const when of ['while it is away', 'before a restart'] as const) {
  test(`a stored session whose grant is taken back ${when} loses the subscription and what waited for it`, async (t) => {
    const world = await makeWorld(t)
    const [listener, speaker] = [await world.raw('d2'), await world.raw('d1')]
    await listener.connect('d2', { clean: false })
    listener.send(subscribePacket(1, ['open/#', 1], ['f/d2/#', 1]), { cmd: 'disconnect' })
    await listener.closed
    await speaker.connect('d1')
    speaker.send(publishPacket('open/x', 'secret by now', { qos: 1, messageId: 1 }))
    await speaker.next('puback')
    assert.equal(world.broker.sessions().find(({ clientId }) => clientId === 'd2')?.queued, 1)

    const grant = 'actions: [subscribe, receive], topics: ["f/${device.id}/#", "open/#"]'
    world.setPolicy(policySource().replace(grant, grant.replace(', "open/#"', '')))
    if (when === 'before a restart') await world.restart()
    else await world.broker.policyChanged()
    const back = await world.raw('d2')
    assert.ok((await back.connect('d2', { clean: false })).sessionPresent)
    await back.ping()
    assert.equal(back.all('publish').length, 0)
    assert.deepEqual(world.broker.sessions().find(({ clientId }) => clientId === 'd2')?.subscriptions, [
      { filter: 'f/d2/#', qos: 1 },
    ])
    await until(() => world.broker.sessions().every(({ queued }) => queued === 0))
    const stored: string[] = []
    for await (const [key] of world.store.entries('broker/subscription/')) stored.push(key)
    for await (const [key] of world.store.entries('broker/queue/')) stored.push(key)
    assert.deepEqual(stored, ['broker/subscription/d2/f/d2/#'])
  })
}

test('connections that say nothing are bounded in number and in time, and cost those that speak nothing', async (t) => {
  const world = await makeWorld(t, { limits: { maxUnconnected: 3 } })
  const plain = (): Socket => {
    const socket = tcpConnect({ host: '127.0.0.1', port: world.port }).resume()
    t.after(() => socket.destroy())
    return socket
  }
  const client = await world.raw('d1')
  await client.connect('d1', { keepalive: 0 })
  const silent = plain() // it does not even begin a TLS handshake
  await once(silent, 'connect')
  const mute = [await world.raw('d2'), await world.raw('d2')]
  await once(plain(), 'close')
  assert.equal(world.records('session.refuse')[0]?.reason, 'quota')
  await client.ping()
  world.clock += 11_000
  await Promise.all([once(silent, 'close'), ...mute.map(({ closed }) => closed)])
  assert.deepEqual(
    new Set(world.records('session.refuse').map(({ reason }) => reason)),
    new Set(['quota', 'handshake_timeout', 'connect_timeout']),
  )
  assert.equal((await (await world.raw('d2')).connect('d2')).returnCode, 0)
})

test('a keep alive of 0 or 65,535 is held to the longest that is allowed here', async (t) => {
  const world = await makeWorld(t, { limits: { maxKeepAliveSeconds: 100 } })
  const [never, late] = [await world.raw('d1'), await world.raw('d2')]
  await never.connect('d1', { keepalive: 0 })
  await late.connect('d2', { keepalive: 65_535 })
  world.clock += 140_000
  await Promise.all([never.ping(), late.ping()])
  world.clock += 151_000
  await Promise.all([never.closed, late.closed])
  assert.deepEqual(
    world.records('session.end').map(({ reason }) => reason),
    ['keep_alive', 'keep_alive'],
  )
})

test('a revocation ends all sessions of the device, and none of its neighbours', async (t) => {
  const world = await makeWorld(t)
  const own = []
  for (const clientId of ['d1', 'd1~pub', 'd1~sub']) {
    const client = await world.raw('d1')
    await client.connect(clientId, { clean: clientId !== 'd1~sub' })
    own.push(client)
  }
  const neighbour = await world.raw('d10')
  await neighbour.connect('d10')
  world.refused.set(device('d1'), 'revoked')
  assert.equal(world.broker.endDevices([device('d1')], 'revoked').sessions, 3)
  assert.deepEqual(
    world.broker.sessions().map(({ clientId }) => clientId),
    ['d10'],
  )
  await Promise.all(own.map(({ closed }) => closed))
  await neighbour.ping()
})

test('a registry that never answers costs the client its connection, in time', async (t) => {
  const asked = new EventEmitter()
  const promote = () => {
    asked.emit('asked')
    return new Promise<void>(() => undefined)
  }
  const world = await makeWorld(t, { change: { promote } })
  world.pending = true
  const client = await world.raw('d1')
  const waiting = once(asked, 'asked')
  const answered = client.connect('d1').catch(() => 'closed')
  await waiting
  world.clock += 11_000
  assert.equal(await answered, 'closed')
  assert.equal(world.records('session.refuse')[0]?.reason, 'connect_timeout')
  assert.deepEqual(world.broker.sessions(), [])
})
