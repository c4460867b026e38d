import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { parsePolicy, renderPolicy } from '#policy'
import type { BrokerLimits } from '#broker'
import { device, makeWorld, policySource, publishPacket, type RawClient, subscribePacket, until } from './harness.js'

/** One kind of device is granted some of the statistics by name, beside all other topics. */
const policy = policySource().replace(
  'bindings:',
  `  watcher:
    allow:
      - { id: sys, actions: [subscribe, receive], topics: ["$SYS/broker/clients/#", "$SYS/broker/uptime"] }
      - { id: all, actions: [subscribe, receive], topics: ["#"], qos: { max: 1 } }
bindings:
  - { role: watcher, match: { labels: { kind: watcher } } }`,
)

async function open(t: TestContext, limits: Partial<BrokerLimits> = {}) {
  const world = await makeWorld(t, { policy, limits, change: { version: 'touchmark 9' } })
  world.labels.set(device('w'), { kind: 'watcher' })
  return world
}

/** What came, by topic, the newest of each. */
function heard(client: RawClient): Readonly<Record<string, string>> {
  return Object.fromEntries(client.all('publish').map(({ topic, payload }) => [topic, payload.toString()]))
}

test('statistics go to who is granted them, at once and again as time passes', async (t) => {
  const world = await open(t)
  const other = await world.raw('d')
  await other.connect('d')
  const watcher = await world.raw('w')
  await watcher.connect('w')
  world.clock += 10_000
  watcher.send(subscribePacket(1, ['$SYS/broker/clients/#', 1], ['$SYS/broker/uptime', 0]))
  assert.deepEqual((await watcher.next('suback')).granted, [1, 0])
  await until(() => heard(watcher)['$SYS/broker/clients/connected'] === '2')
  assert.deepEqual(Object.keys(heard(watcher)).toSorted(), [
    '$SYS/broker/clients/connected',
    '$SYS/broker/clients/disconnected',
    '$SYS/broker/clients/total',
    '$SYS/broker/uptime',
  ])

  other.send({ cmd: 'disconnect' })
  await other.closed
  world.clock += 10_000
  await until(() => heard(watcher)['$SYS/broker/clients/connected'] === '1')
  assert.match(heard(watcher)['$SYS/broker/uptime'] ?? '', /^(20|10) seconds$/)
})

test('what was held for those who come later is marked as retained, and every delivery is recorded as the service’s own', async (t) => {
  const world = await open(t)
  const watcher = await world.raw('w')
  await watcher.connect('w')
  watcher.send(subscribePacket(1, ['$SYS/broker/uptime', 1]))
  const { topic } = await watcher.next('publish') // now they have been published at least once
  watcher.send(subscribePacket(2, ['$SYS/broker/uptime', 1]))
  await until(() => watcher.all('publish').some(({ retain, qos }) => retain && qos === 0))
  const record = world.records('message.deliver').find((one) => one.topic === topic)
  assert.ok(record)
  const { decision, rules, publisher, origin, size } = record
  assert.deepEqual(
    [decision, rules, publisher, origin, size > 0],
    ['allow', ['watcher/sys'], undefined, undefined, true],
  )
  assert.equal(world.records('message.publish').length, 0)
})

test('no wildcard reaches them, and who is not granted them by name is refused', async (t) => {
  const world = await open(t)
  const watcher = await world.raw('w')
  await watcher.connect('w')
  watcher.send(
    subscribePacket(
      1,
      ['#', 1],
      ['+/broker/uptime', 0],
      ['$SYS/#', 0],
      ['$SYS/broker/version', 0],
      ['$share/g/$SYS/broker/uptime', 0],
    ),
  )
  assert.deepEqual((await watcher.next('suback')).granted, [1, 0, 0x80, 0x80, 0x80])
  const stranger = await world.raw('d')
  await stranger.connect('d')
  stranger.send(subscribePacket(1, ['$SYS/broker/uptime', 0], ['$SYS/#', 0], ['open/#', 0]))
  assert.deepEqual((await stranger.next('suback')).granted, [0x80, 0x80, 0])
  const refusals = world.records('message.subscribe').filter(({ decision }) => decision === 'deny')
  const why = new Set(refusals.map(({ device, reason }) => `${device} ${reason ?? ''}`))
  assert.deepEqual([...why].toSorted(), ['d reserved', 'w not_contained', 'w reserved'])

  const published = world.broker.statistics
  for (let round = 0; round < 3; round++) {
    world.clock += 10_000
    stranger.send(publishPacket('open/round', String(round)))
    await watcher.next('publish', round + 1)
  }
  assert.deepEqual(Object.keys(heard(watcher)), ['open/round'])
  assert.deepEqual(Object.keys(heard(stranger)), ['open/round'])
  assert.equal(published.decisions.receive.deny.sum, 0)
})

test('a grant that is taken back ends what was subscribed under it', async (t) => {
  const world = await open(t)
  const watcher = await world.raw('w')
  await watcher.connect('w')
  watcher.send(subscribePacket(1, ['$SYS/broker/uptime', 0]))
  await watcher.next('suback')
  world.clock += 10_000
  await watcher.next('publish')
  world.labels.delete(device('w'))
  await world.broker.policyChanged()
  assert.deepEqual(world.broker.sessions()[0]?.subscriptions, [])
  const before = watcher.all('publish').length
  watcher.send(subscribePacket(2, ['open/#', 0]))
  world.clock += 10_000
  watcher.send(publishPacket('open/last', 'x'))
  await until(() => 'open/last' in heard(watcher))
  assert.equal(watcher.all('publish').length, before + 1)
})

test('nobody but the service speaks there, whatever a policy grants', async (t) => {
  const world = await makeWorld(t, {
    change: {
      // As if the policy's own check had been passed by.
      policyFor: (id) => {
        const rights = renderPolicy(parsePolicy(policySource(), 'p'), { id, tier: 'tpm', labels: { kind: 'device' } })
        const allow = { effect: 'allow', rules: ['r/any'], policyVersion: 3 } as const
        return Object.assign(Object.create(rights) as typeof rights, { publish: () => allow, will: () => allow })
      },
    },
  })
  const liar = await world.raw('d', {}, 5)
  const topic = '$SYS/broker/clients/connected'
  await liar.connect('d')
  liar.send(publishPacket(topic, '999', { qos: 1, messageId: 1, retain: true }))
  assert.equal((await liar.next('puback')).reasonCode, 0x87)
  for (const [at, root] of ['$SYS', '$touchmark', '$touchmark/services/plc/opcua'].entries()) {
    liar.send(publishPacket(root, 'x', { qos: 1, messageId: at + 2 }))
    const { reasonCode, properties } = await liar.next('puback', at + 2)
    assert.equal(reasonCode, 0x87)
    assert.match(String(properties?.reasonString), /only the service speaks/)
  }
  assert.deepEqual(
    world.records('message.publish').map(({ decision, reason }) => [decision, reason]),
    Array.from({ length: 4 }, () => ['deny', 'reserved']),
  )
  const testament = await world.raw('e')
  testament.send({
    ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clientId: 'e', clean: true, keepalive: 60 },
    will: { topic, payload: Buffer.from('999'), qos: 0, retain: false },
  })
  assert.equal((await testament.next('connack')).returnCode, 5)
})

test('statistics are never stored, and count neither as retained messages of devices nor after a restart', async (t) => {
  const world = await open(t)
  const watcher = await world.raw('w')
  await watcher.connect('w', { clean: false })
  watcher.send(subscribePacket(1, ['$SYS/broker/uptime', 1]))
  world.clock += 10_000
  await watcher.next('publish')
  assert.equal(world.broker.levels().retainedMessages, 0)
  await world.restart()
  for await (const [key, value] of world.store.entries('broker/')) {
    assert.ok(!key.startsWith('broker/retained/') && !key.startsWith('broker/queue/'), key)
    assert.doesNotMatch(Buffer.from(value).toString('latin1'), /10 seconds/)
  }
})

test('none are published where that is turned off', async (t) => {
  const world = await open(t, { statisticsSeconds: 0 })
  const watcher = await world.raw('w')
  await watcher.connect('w')
  watcher.send(subscribePacket(1, ['$SYS/broker/clients/#', 0], ['open/#', 0]))
  await watcher.next('suback')
  world.clock += 60_000
  const other = await world.raw('d')
  await other.connect('d')
  other.send(publishPacket('open/a', 'x'))
  await watcher.next('publish')
  assert.deepEqual(Object.keys(heard(watcher)), ['open/a'])
})

test('a clock that is set back stops no statistics', async (t) => {
  let elapsed = 0
  const world = await makeWorld(t, { policy, change: { elapsed: () => elapsed } })
  world.labels.set(device('w'), { kind: 'watcher' })
  const watcher = await world.raw('w')
  await watcher.connect('w')
  watcher.send(subscribePacket(1, ['$SYS/broker/uptime', 0]))
  await watcher.next('suback')
  world.clock -= 3_600_000
  elapsed += 10_000
  await until(() => heard(watcher)['$SYS/broker/uptime'] === '10 seconds')
})
