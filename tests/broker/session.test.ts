import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'
import { needs } from '../needs.js'
import { device, listenTo, makeWorld, policySource, publishPacket, subscribePacket, until } from './harness.js'

test('a stored session comes back after a restart: subscriptions, queue in order, and what was in flight with DUP', async (t) => {
  const world = await makeWorld(t, { limits: { maxInflight: 1 } })
  const listener = await world.raw('d2')
  assert.equal((await listener.connect('d2', { clean: false })).sessionPresent, false)
  listener.send(subscribePacket(1, ['open/#', 1]))
  await listener.next('suback')
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  speaker.send(...[1, 2].map((messageId) => publishPacket('open/x', `m${messageId}`, { qos: 1, messageId })))
  await speaker.next('puback', 2)
  const { messageId } = await listener.next('publish')
  listener.socket.destroy()
  await until(() => world.records('session.end').length === 1)
  speaker.send(publishPacket('open/x', 'm3', { qos: 1, messageId: 3 }))
  await speaker.next('puback', 3)

  await world.restart()
  const back = await world.raw('d2')
  assert.equal((await back.connect('d2', { clean: false })).sessionPresent, true)
  const again = await back.next('publish')
  assert.deepEqual([again.payload.toString(), again.dup, again.messageId], ['m1', true, messageId])
  for (const nth of [1, 2, 3]) {
    const { messageId: id } = await back.next('publish', nth)
    back.send({ cmd: 'puback', messageId: id ?? 0 })
  }
  await back.ping()
  assert.deepEqual(
    back.all('publish').map(({ payload, dup }) => `${payload.toString()} ${String(dup)}`),
    ['m1 true', 'm2 false', 'm3 false'],
  )
  back.socket.destroy()
  const fresh = await world.raw('d2')
  assert.equal((await fresh.connect('d2', { clean: true })).sessionPresent, false)
  assert.deepEqual(world.broker.sessions()[0]?.subscriptions, [])
  for await (const [key] of world.store.entries('broker/')) assert.fail(key) // of a session that was given up nothing stays
})

test('SUBACK has one code per entry, in order: granted at most 1, refused filters stored nowhere', async (t) => {
  const world = await makeWorld(t)
  const client = await world.raw('d1')
  await client.connect('d1', { clean: false })
  const refused = [
    '#',
    'f/+/cmd',
    '+/d1/cmd',
    '$SYS/#',
    '+/broker',
    '$share/g/open/x',
    '$share//t',
    'open',
    '/#',
  ] as const
  client.send(
    subscribePacket(1, ...refused.map((filter) => [filter, 1] as const)),
    subscribePacket(2, ['f/d1/#', 2], ['f/d1', 0], ['f/d2/#', 1], ['open/#', 1], ['open/#', 0]),
  )
  assert.deepEqual(
    (await client.next('suback')).granted,
    refused.map((filter) => (filter === 'open' ? 0x01 : 0x80)),
  )
  assert.deepEqual((await client.next('suback', 2)).granted, [1, 0, 0x80, 1, 0])
  const stored: string[] = []
  for await (const [key] of world.store.entries('broker/subscription/')) stored.push(key)
  assert.deepEqual(
    stored,
    ['f/d1', 'f/d1/#', 'open', 'open/#'].map((filter) => `broker/subscription/d1/${filter}`),
  )
})

test('a denied topic below a granted filter is never delivered: live, retained or queued', async (t) => {
  const world = await makeWorld(t)
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  speaker.send(publishPacket('open/secret', 'retained', { qos: 1, messageId: 1, retain: true }))
  await speaker.next('puback')
  const listener = await listenTo(world, 'd2', 'open/#', 1, { clean: false })
  speaker.send(publishPacket('open/secret', 'live', { qos: 1, messageId: 2 }), publishPacket('open/secret', 'live'))
  await speaker.next('puback', 2)
  listener.send({ cmd: 'disconnect' })
  await listener.closed
  speaker.send(publishPacket('open/secret', 'queued', { qos: 1, messageId: 3 }))
  await speaker.next('puback', 3)
  assert.equal(world.broker.sessions().find(({ device }) => device === 'd2')?.queued, 0)
  const back = await world.raw('d2')
  await back.connect('d2', { clean: false })
  await back.ping()
  assert.equal(listener.all('publish').length + back.all('publish').length, 0)
  assert.ok(
    world.records('message.deliver').every(({ decision, reason }) => decision === 'deny' && reason === 'denied'),
  )
})

test('a publish that is refused ends the session, or is acknowledged and dropped, as the policy says', async (t) => {
  const strict = await makeWorld(t)
  const client = await strict.raw('d1')
  await client.connect('d1')
  client.send(publishPacket('f/d2/t', 'x', { qos: 1, messageId: 1 }), publishPacket('f/d1/t', 'x'))
  await client.closed
  assert.equal(client.all('puback').length, 0)
  assert.equal(strict.records('message.publish').length, 1)
  assert.equal(strict.records('message.publish')[0]?.reason, 'no_rule')
  assert.equal(strict.records('session.end')[0]?.reason, 'denied')

  const lenient = await makeWorld(t, { policy: policySource('onDenyPublish: drop') })
  const listener = await lenient.raw('d2')
  await listener.connect('d2')
  listener.send(subscribePacket(1, ['f/d2/#', 1]))
  await listener.next('suback')
  const other = await lenient.raw('d1')
  await other.connect('d1')
  for (const [at, topic] of ['f/d2/t', '$SYS/evil', 'f/d1/../d2', 'F/d1/x', '/f/d1/x'].entries()) {
    other.send(publishPacket(topic, 'x', { qos: 1, messageId: at + 1, retain: true }))
    await other.next('puback', at + 1)
  }
  await listener.ping()
  assert.equal(listener.all('publish').length, 0)
})

test('a change of policy ends live subscriptions that it no longer allows', async (t) => {
  const world = await makeWorld(t)
  const [listener, speaker] = [await world.raw('d2'), await world.raw('d1')]
  await listener.connect('d2')
  listener.send(subscribePacket(1, ['open/#', 1], ['f/d2/#', 1]))
  await listener.next('suback')
  await speaker.connect('d1')
  world.setPolicy(
    policySource().replace(
      'topics: ["f/${device.id}/#", "open/#"], qos: { max: 1 } }',
      'topics: ["f/${device.id}/#"], qos: { max: 1 } }',
    ),
  )
  assert.equal(await world.broker.policyChanged(), 2)
  const view = world.broker.sessions().find(({ device }) => device === 'd2')
  assert.deepEqual(view?.subscriptions, [{ filter: 'f/d2/#', qos: 1 }])
  const { at, ...refusal } = view?.lastRefusal ?? {}
  assert.deepEqual(refusal, { action: 'subscribe', topic: 'open/#', reason: 'not_contained' })
  assert.equal(at, new Date(world.clock).toISOString())
  assert.deepEqual([...world.broker.statistics.decisions.subscribe.deny], [['not_contained', 1]])
  speaker.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  await speaker.next('puback')
  await listener.ping()
  assert.equal(listener.all('publish').length, 0)
})

test('a crash ends no session whose client was there until then, and does not keep one whose client stays away', async (t) => {
  const world = await makeWorld(t)
  const lasting = { clean: false, properties: { sessionExpiryInterval: 10 } }
  const client = await world.raw('d1', {}, 5)
  await client.connect('d1', lasting)
  world.clock += 16_000
  await world.crash()
  const back = await world.raw('d1', {}, 5)
  assert.equal((await back.connect('d1', lasting)).sessionPresent, true)
  for (let crash = 1; crash <= 2; crash++) {
    await world.crash()
    await (await world.raw('d2')).connect('d2') // the start has written what it found
    world.clock += 6000
  }
  const late = await world.raw('d1', {}, 5)
  assert.equal((await late.connect('d1', lasting)).sessionPresent, false)
})

test('retained messages reach new subscribers, survive a restart, and are cleared by an empty one', async (t) => {
  const world = await makeWorld(t, { limits: { maxRetainedPerDevice: 1 }, policy: policySource('onDenyPublish: drop') })
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  for (const [at, topic] of ['open/kept', 'open/over-quota'].entries()) {
    speaker.send(publishPacket(topic, 'x', { qos: 1, messageId: at + 1, retain: true }))
    await speaker.next('puback', at + 1)
  }
  await world.restart()
  const listener = await world.raw('d2')
  await listener.connect('d2')
  listener.send(subscribePacket(1, ['open/+', 0]))
  const kept = await listener.next('publish')
  assert.deepEqual([kept.topic, kept.retain, kept.qos], ['open/kept', true, 0])
  listener.send(publishPacket('open/kept', '', { retain: true }), subscribePacket(2, ['open/+', 0]))
  await listener.next('suback', 2)
  await listener.ping()
  assert.equal(listener.all('publish').filter(({ retain }) => retain).length, 1)
  for await (const [key] of world.store.entries('broker/retained/')) assert.fail(key)
})

test('subscriptions are held to a quota per device', async (t) => {
  const world = await makeWorld(t, { limits: { maxSubscriptionsPerDevice: 10 } })
  const client = await world.raw('d1')
  await client.connect('d1')
  client.send(subscribePacket(1, ...Array.from({ length: 1000 }, (_, at) => [`open/${at}`, 0] as const)))
  const { granted } = await client.next('suback')
  assert.equal(granted.length, 1000)
  assert.equal(granted.filter((code) => code === 0).length, 10)
})

test('a subscriber that never reads loses QoS 0 messages, then its session, and nobody waits for it', async (t) => {
  const world = await makeWorld(t, { limits: { maxOutputBytes: 64 * 1024 } })
  const [stuck, listener, speaker] = [await world.raw('d1'), await world.raw('d2'), await world.raw('d3')]
  for (const [client, id] of [
    [stuck, 'd1'],
    [listener, 'd2'],
    [speaker, 'd3'],
  ] as const)
    await client.connect(id)
  for (const client of [stuck, listener]) {
    client.send(subscribePacket(1, ['open/#', 0]))
    await client.next('suback')
  }
  stuck.socket.pause()
  const payload = Buffer.alloc(60_000)
  let sent = 0
  while (world.records('message.drop').length === 0) {
    speaker.send(publishPacket('open/x', payload))
    sent++
    await listener.next('publish', sent)
  }
  const [drop] = world.records('message.drop')
  assert.deepEqual([drop?.device, drop?.reason], ['d1', 'queue_full'])
  world.clock += 21_000
  await until(() => world.records('session.end').length === 1)
  assert.deepEqual(
    world.records('session.end').map(({ device, reason }) => [device, reason]),
    [['d1', 'slow']],
  )
})

test('a stored session whose queue is full is ended; the publisher is answered', async (t) => {
  const world = await makeWorld(t, { limits: { maxQueued: 10 } })
  const listener = await world.raw('d2')
  await listener.connect('d2', { clean: false })
  listener.send(subscribePacket(1, ['open/#', 1]), { cmd: 'disconnect' })
  await listener.closed
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  speaker.send(...Array.from({ length: 11 }, (_, at) => publishPacket('open/x', 'x', { qos: 1, messageId: at + 1 })))
  await speaker.next('puback', 11)
  assert.equal(world.records('session.end').at(-1)?.reason, 'quota')
  assert.equal(world.records('message.drop')[0]?.count, 11)
  assert.equal((await (await world.raw('d2')).connect('d2', { clean: false })).sessionPresent, false)
})

test('a policy that throws denies, and the service stays up', async (t) => {
  const world = await makeWorld(t, {
    change: {
      policyFor: (): never => {
        throw new Error('broken')
      },
    },
  })
  const client = await world.raw('d1')
  client.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clientId: 'd1', keepalive: 9, clean: true })
  await client.closed
  assert.equal(client.all('connack').filter(({ returnCode }) => returnCode === 0).length, 0)
  assert.equal(world.records('session.refuse')[0]?.reason, 'no_rights')
})

test('mosquitto_pub and mosquitto_sub speak on allowed topics', needs('mosquitto_pub', 'mosquitto_sub'), async (t) => {
  const world = await makeWorld(t)
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-broker-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const { key, cert } = await world.credentials('d1')
  const write = (name: string, text: string) => (writeFileSync(join(folder, name), text), join(folder, name))
  const files = ['--cafile', write('ca', world.ca), '--cert', write('cert', cert), '--key', write('key', key)]
  const to = ['-h', '127.0.0.1', '-p', String(world.port), ...files, '-q', '1']
  const listener = spawn('mosquitto_sub', [...to, '-i', 'd1~sub', '-t', 'f/d1/#', '-C', '1', '-W', '10'])
  const heard = once(listener.stdout, 'data')
  const closed = once(listener, 'close')
  await until(() => world.records('message.subscribe').length === 1)
  await promisify(execFile)('mosquitto_pub', [...to, '-i', 'd1~pub', '-t', 'f/d1/t', '-m', 'hello'])
  assert.equal(String((await heard)[0]), 'hello\n')
  await closed
  assert.equal(device('d1'), world.records('message.deliver')[0]?.device)
})
