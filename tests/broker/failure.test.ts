import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { Packet } from 'mqtt-packet'
import { AuditError, AuditLog } from '#audit'
import type { Rights } from '#broker'
import { unrecordable } from '../../broker/dispatch.js'
import { always } from '#policy'
import type { AuditEventName, AuditRecord } from '#protocol'
import { createMemoryStore } from '#store'
import { device, listenTo, makeWorld, publishPacket, subscribePacket, until, type World } from './harness.js'

/** From now on the log refuses these events, or all. Returns the way to let it take them again. */
function refuseRecords(t: TestContext, { audit }: World, error: Error, only?: AuditEventName): () => void {
  const append = audit.append.bind(audit)
  const { mock } = t.mock.method(audit, 'append', (event: Parameters<typeof append>[0]) => {
    if (only === undefined || event.event === only) throw error
    return append(event)
  })
  return () => mock.restore()
}

test('when the store has failed nothing is acknowledged, everyone is closed and turned away, and health says so', async (t) => {
  const store = createMemoryStore()
  const world = await makeWorld(t, { change: { store } })
  const [keeper, other] = [await world.raw('d1'), await world.raw('d2')]
  await keeper.connect('d1', { clean: false })
  await other.connect('d2')
  assert.ok(world.broker.healthy)
  t.mock.method(store, 'commit', () => Promise.reject(new Error('no space left on device')))
  keeper.send(subscribePacket(1, ['open/#', 1]))
  await Promise.all([keeper.closed, other.closed])
  assert.equal(keeper.all('suback').length, 0)
  assert.equal(world.broker.healthy, false)
  assert.equal((await (await world.raw('d2')).connect('d2')).returnCode, 3)
  assert.equal(world.records('session.refuse')[0]?.reason, 'unavailable')
})

test('when the log has failed everyone is closed at once and turned away', async (t) => {
  const world = await makeWorld(t)
  const client = await world.raw('d1')
  await client.connect('d1')
  world.audit.fail()
  await client.closed
  assert.equal(world.broker.healthy, false)
  assert.equal((await (await world.raw('d1')).connect('d1')).returnCode, 3)
})

test('while the log stays congested publishers that wait for it are closed; what they sent is delivered, unacknowledged', async (t) => {
  const world = await makeWorld(t)
  const listener = await listenTo(world, 'd2', 'open/#', 1)
  const speaker = await world.raw('d1')
  await speaker.connect('d1')
  world.audit.hold()
  speaker.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  await until(() => world.records('message.publish').length === 1)
  world.audit.setCongested(true)
  world.clock += 2_000
  await speaker.closed
  assert.equal(world.records('session.end')[0]?.comment, 'the audit log is congested')
  world.audit.setCongested(false)
  world.audit.release()
  await listener.next('publish')
  assert.equal(speaker.all('puback').length, 0)
  assert.equal(world.records('session.end').length, 1)
})

test('publishers that wait for a congested log are told: quota exceeded in MQTT 5, the end in MQTT 3.1.1', async (t) => {
  const world = await makeWorld(t)
  const [telling, silent] = [await world.raw('d1', {}, 5), await world.raw('d2')]
  await telling.connect('d1')
  await silent.connect('d2')
  world.audit.hold()
  for (const client of [telling, silent]) client.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  await until(() => world.records('message.publish').length === 2)
  world.audit.setCongested(true)
  world.clock += 2_000
  await Promise.all([telling.closed, silent.closed])
  const [told] = telling.all('disconnect')
  assert.deepEqual([told?.reasonCode, told?.properties?.reasonString], [0x97, unrecordable.say])
  assert.deepEqual([telling.all('puback'), silent.all('puback'), silent.all('disconnect')], [[], [], []])
})

test('case 59: on a full disk nobody is read, then who publishes is told and who comes is refused, and listeners stay', async (t) => {
  const world = await makeWorld(t)
  const [speaker, older, listener] = [await world.raw('d1', {}, 5), await world.raw('d2'), await world.raw('d3')]
  await speaker.connect('d1')
  await older.connect('d2')
  await listener.connect('d3')
  listener.send(subscribePacket(1, ['open/#', 1]))
  await listener.next('suback')

  world.audit.setFull(true)
  for (const client of [speaker, older]) client.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  await world.credentials('d4') // some turns of the loop
  assert.deepEqual(
    [speaker, older, listener].map(({ socket }) => socket.closed),
    [false, false, false],
  )

  world.clock += 2_000
  await Promise.all([speaker.closed, older.closed])
  assert.equal(speaker.all('disconnect')[0]?.reasonCode, 0x97)
  await listener.ping()
  const [refused5, refused4] = [await world.raw('d4', {}, 5), await world.raw('d5')]
  assert.equal((await refused5.connect('d4')).reasonCode, 0x88)
  assert.equal((await refused4.connect('d5')).returnCode, 3)
  assert.equal(world.records('message.publish').length, 0)
  assert.equal(world.records('session.end').length, 2, 'ends of sessions are recorded out of the reserve')

  world.audit.setFull(false)
  const back = await world.raw('d1')
  await back.connect('d1')
  back.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  await back.next('puback')
  await listener.next('publish')
})

for (const code of ['AUDIT_FULL', 'AUDIT_INVALID', 'AUDIT_CLOSED'] as const) {
  test(`a packet whose record is refused with ${code} has no effect and no answer; its connection ends, the service stays`, async (t) => {
    const world = await makeWorld(t)
    const connect = async () => {
      const client = await world.raw('d1')
      await client.connect('d1', { clean: false })
      return client
    }
    const packets: readonly Packet[] = [
      publishPacket('open/kept', 'x', { qos: 1, messageId: 1, retain: true }),
      publishPacket('f/d2/denied', 'x', { qos: 1, messageId: 1 }),
      subscribePacket(1, ['open/a', 1], ['f/d2/#', 1], ['open/c', 1]),
      { cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['open/first'] },
    ]
    const first = await connect()
    first.send(subscribePacket(1, ['open/first', 1]), { cmd: 'disconnect' })
    await first.closed

    for (const packet of packets) {
      const client = await connect()
      const restore = refuseRecords(t, world, new AuditError(code, 'as a full disk would'))
      client.send(packet)
      await client.closed
      restore()
      assert.deepEqual(
        client.received.map(({ cmd }) => cmd),
        ['connack'],
      )
    }
    const restore = refuseRecords(t, world, new AuditError(code, 'as a full disk would'))
    const refused = await world.raw('d1')
    await assert.rejects(refused.connect('d1'))
    restore()
    await connect()
    assert.deepEqual(world.broker.sessions()[0]?.subscriptions, [{ filter: 'open/first', qos: 1 }])
    for await (const [key] of world.store.entries('broker/retained/')) assert.fail(key)
  })
}

for (const [whose, clean] of [
  ['a session that stays', false],
  ['one that went with its connection', true],
] as const) {
  test(`the will of ${whose} that cannot be recorded stays due, and speaks when there is room again`, async (t) => {
    const world = await makeWorld(t)
    const [listener, client] = [await world.raw('d2'), await world.raw('d1')]
    await listener.connect('d2')
    listener.send(subscribePacket(1, ['open/#', 1]))
    await listener.next('suback')
    const will = { topic: 'open/will', payload: Buffer.from('gone'), qos: 1, retain: false } as const
    await client.connect('d1', { clean, will })

    const restore = refuseRecords(t, world, new AuditError('AUDIT_FULL', 'as a full disk would'), 'message.publish')
    client.socket.destroy()
    await until(() => world.records('session.end').length === 1)
    await listener.ping()
    assert.equal(listener.all('publish').length, 0)
    restore()
    assert.equal((await listener.next('publish')).payload.toString(), 'gone')
    await until(() => world.records('message.deliver').length === 1)
    await until(() => world.broker.sessions().length === (clean ? 1 : 2))
    for await (const [key] of world.store.entries('broker/will/')) assert.fail(key)
  })
}

test('a delivery that cannot be recorded ends the receiver alone, whatever woke it', async (t) => {
  const world = await makeWorld(t, { limits: { maxInflight: 1 } })
  const [listener, speaker] = [await world.raw('d2'), await world.raw('d1')]
  await listener.connect('d2', { clean: false })
  listener.send(subscribePacket(1, ['open/#', 1]))
  await listener.next('suback')
  await speaker.connect('d1')
  speaker.send(...[1, 2].map((messageId) => publishPacket('open/x', 'x', { qos: 1, messageId })))
  await speaker.next('puback', 2)
  const { messageId = 0 } = await listener.next('publish')
  const full = new AuditError('AUDIT_FULL', 'as a full disk would')

  const restore = refuseRecords(t, world, full, 'message.deliver')
  listener.send({ cmd: 'puback', messageId })
  await listener.closed
  speaker.send(publishPacket('open/x', 'x', { qos: 1, messageId: 3 }))
  await speaker.next('puback', 3)
  restore()
  const back = await world.raw('d2')
  assert.ok((await back.connect('d2', { clean: false })).sessionPresent)
  assert.equal((await back.next('publish')).dup, true)

  refuseRecords(t, world, full)
  world.refused.set(device('d1'), 'revoked')
  assert.deepEqual(world.broker.endDevices([device('d1')], 'revoked'), { sessions: 1, purged: 1 })
  await speaker.closed
})

test('a policy that throws denies each packet as internal, and costs nobody the connection', async (t) => {
  let broken = false
  const ask = <T>(allowed: T) => {
    if (broken) throw new Error('a defect in the policy')
    return allowed
  }
  const allowed = { effect: 'allow', rules: [], policyVersion: 1 } as const
  const rights: Rights = {
    version: 1,
    quarantined: false,
    maxSessions: 1,
    onDenyPublish: 'disconnect',
    term: always,
    publish: () => ask(allowed),
    will: () => ask(allowed),
    subscribe: () => ask({ ...allowed, qos: 1 }),
    receive: () => ask({ ...allowed, qos: 1 }),
    discover: () => ask(allowed),
  }
  const world = await makeWorld(t, { change: { policyFor: () => rights } })
  const [client, mourned] = [await world.raw('d1'), await world.raw('d2')]
  await client.connect('d1')
  const will = { topic: 'open/will', payload: Buffer.from('gone'), qos: 1, retain: false } as const
  await mourned.connect('d2', { will })
  client.send(subscribePacket(1, ['open/#', 1]))
  await client.next('suback')
  world.audit.hold()
  client.send(publishPacket('open/x', 'x', { qos: 1, messageId: 1 }))
  await until(() => world.records('message.publish').length === 1)

  broken = true
  world.audit.release()
  client.send(publishPacket('open/y', 'x', { qos: 1, messageId: 2 }), subscribePacket(2, ['open/y', 1]))
  await client.next('puback', 2)
  assert.deepEqual((await client.next('suback', 2)).granted, [0x80])
  mourned.socket.destroy()
  assert.equal((await (await world.raw('d3')).connect('d3', { will })).returnCode, 5)
  await until(() => world.records('session.end').length === 1)
  await client.ping()
  assert.equal(client.all('publish').length, 0)
  const denied = world.audit.records.filter((record) => 'decision' in record && record.decision === 'deny')
  assert.deepEqual(
    denied.map((record) => [record.event, 'topic' in record && record.topic, 'reason' in record && record.reason]),
    [
      ['message.deliver', 'open/x', 'internal'],
      ['message.publish', 'open/y', 'internal'],
      ['message.subscribe', 'open/y', 'internal'],
      ['message.publish', 'open/will', 'internal'],
    ],
  )
})

test('the longest names that can be said are recorded in the log on disk, whole or shortened', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'touchmark-broker-'))
  const { privateKey: signingKey } = generateKeyPairSync('ed25519')
  const audit = await AuditLog.open({ directory, origin: 'test/audit', signingKey, now: Date.now })
  const world = await makeWorld(t, { change: { audit } })
  t.after(async () => {
    await audit.close()
    rmSync(directory, { recursive: true })
  })
  const [long, deep] = [`open/${'€'.repeat(339)}/x`, `open${'/a'.repeat(127)}`]
  assert.equal(Buffer.byteLength(long), 1024)
  const client = await world.raw('d1')
  await client.connect('d1')
  client.send(subscribePacket(1, [long, 1], [deep, 1]))
  assert.deepEqual((await client.next('suback')).granted, [1, 1])
  client.send(publishPacket(long, 'x', { qos: 1, messageId: 1 }), publishPacket(deep, 'x', { qos: 1, messageId: 2 }))
  await client.next('publish', 2)
  const stranger = await world.raw('d2')
  assert.equal((await stranger.connect('d'.repeat(65_535))).returnCode, 2)
  await stranger.closed
  const tooLong = await world.raw('d3')
  await tooLong.connect('d3')
  tooLong.send(subscribePacket(1, [`${long}x`, 1]))
  await tooLong.closed

  await audit.whenDurable(audit.size - 1)
  const records: AuditRecord[] = []
  for await (const record of audit.records(0)) records.push(record)
  assert.ok(records.some((record) => record.event === 'message.deliver' && record.topic === long))
  assert.ok(records.some((record) => record.event === 'message.deliver' && record.topic === deep))
  assert.ok(records.some((record) => record.event === 'session.refuse' && record.clientId?.includes('[65535 bytes')))
  assert.ok(records.some((record) => record.event === 'session.end' && record.comment?.startsWith('INVALID_TOPIC')))
})
