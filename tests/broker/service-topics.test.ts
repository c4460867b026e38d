import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { type Labels, type OfferedService, parseDeviceId } from '#protocol'
import { device, makeWorld, policySource, publishPacket, type RawClient, subscribePacket, until } from './harness.js'

const roles = (discover: string) =>
  policySource().replace(
    'bindings:',
    `  gateway:\n    discover: [${discover}]\nbindings:\n  - { role: gateway, match: { labels: { kind: gateway } } }`,
  )
const ofSite = '{ id: site, labels: { site: "${device.labels.site}" }, services: [opcua, "mod*"] }'
const gatewayLabels = { kind: 'gateway', site: 'oslo' }

function offer(name: string, labels: Labels, service = 'opcua', port = 4840): OfferedService {
  return { device: parseDeviceId(name), labels, service, protocol: 'tcp', port }
}
const oslo = { site: 'oslo' }
const topicOf = (name: string, service = 'opcua') => `$touchmark/services/${name}/${service}`

async function open(t: TestContext, discover = ofSite) {
  const world = await makeWorld(t, { policy: roles(discover) })
  world.labels.set(device('g'), gatewayLabels)
  const offers = (...after: readonly OfferedService[]) => {
    const before = known.get(after[0]?.device) ?? []
    known.set(after[0]?.device, after)
    world.broker.servicesChanged({ before, after })
  }
  const known = new Map<unknown, readonly OfferedService[]>()
  const goes = (name: string) => {
    const id = parseDeviceId(name)
    world.broker.servicesChanged({ before: known.get(id) ?? [], after: [] })
    known.delete(id)
  }
  const watch = async (name = 'g', filter = '$touchmark/#', options = {}) => {
    const client = await world.raw(name)
    await client.connect(name, options)
    client.send(subscribePacket(1, [filter, 1]))
    assert.deepEqual((await client.next('suback')).granted, [0])
    return client
  }
  return { world, offers, goes, watch }
}

/** What came, in turn. */
function heard(client: RawClient): readonly (readonly [topic: string, payload: string])[] {
  return client.all('publish').map(({ topic, payload }) => [topic, payload.toString()])
}

/** What a client knows that goes by what it heard. */
function knows(client: RawClient): readonly string[] {
  const kept = new Map(heard(client))
  return [...kept].flatMap(([topic, payload]) => (payload === '' ? [] : [topic])).toSorted()
}

test('a subscriber hears of what it may see and of nothing else, at once, later, and when it is gone', async (t) => {
  const { world, offers, goes, watch } = await open(t)
  offers(offer('plc', oslo), offer('plc', oslo, 'ssh', 22))
  offers(offer('far', { site: 'bergen' }))
  const gateway = await watch()
  await until(() => heard(gateway).length === 1)
  assert.deepEqual(JSON.parse(heard(gateway)[0]?.[1] ?? ''), offer('plc', oslo))
  assert.equal(gateway.all('publish')[0]?.retain, true)

  offers(offer('new', oslo, 'modbus', 502))
  offers(offer('new2', { site: 'bergen' }))
  await until(() => knows(gateway).length === 2)
  assert.equal(gateway.all('publish')[1]?.retain, false)
  offers(offer('plc', oslo), offer('plc', oslo, 'ssh', 22)) // the same again is nothing new
  offers(offer('plc', oslo, 'opcua', 4841))
  goes('far')
  goes('new')
  await until(() => heard(gateway).length === 4)
  assert.deepEqual(
    heard(gateway).map(([topic, payload]) => [
      topic,
      payload === '' ? '' : (JSON.parse(payload) as OfferedService).port,
    ]),
    [
      [topicOf('plc'), 4840],
      [topicOf('new', 'modbus'), 502],
      [topicOf('plc'), 4841],
      [topicOf('new', 'modbus'), ''],
    ],
  )
  const records = world.records('message.deliver')
  assert.deepEqual(
    records.map(({ topic, decision, rules, publisher }) => [topic, decision, rules, publisher]),
    heard(gateway).map(([topic]) => [topic, 'allow', ['gateway/site'], undefined]),
  )
})

test('a device that offers moves out of sight and back: the subscriber hears that it is gone, and of it again', async (t) => {
  const { offers, watch } = await open(t)
  offers(offer('plc', oslo))
  const gateway = await watch()
  await until(() => knows(gateway).length === 1)
  offers(offer('plc', { site: 'bergen' }))
  await until(() => knows(gateway).length === 0)
  offers(offer('plc', oslo))
  await until(() => knows(gateway).length === 1)
  assert.equal(heard(gateway).length, 3)
})

test('case 106: what a change of policy or of labels takes from a subscriber it is told to forget, and what it brings it hears', async (t) => {
  const { world, offers, watch } = await open(t)
  offers(offer('a', oslo))
  offers(offer('b', { site: 'bergen' }))
  offers(offer('c', { site: 'oslo' }, 'ssh', 22))
  const gateway = await watch()
  await until(() => knows(gateway).length === 1)

  world.labels.set(device('g'), { kind: 'gateway', site: 'bergen' })
  world.broker.rightsChanged(device('g'))
  await until(() => knows(gateway)[0] === topicOf('b') && knows(gateway).length === 1)
  world.setPolicy(roles('{ id: ssh, services: ssh }'))
  await world.broker.policyChanged()
  await until(() => knows(gateway)[0] === topicOf('c', 'ssh') && knows(gateway).length === 1)
  assert.equal(heard(gateway).length, 5) // three that came and two that went, each once

  world.setPolicy(policySource()) // nothing that would let anybody see anything
  world.labels.set(device('g'), { kind: 'device' })
  await world.broker.policyChanged()
  await until(() => knows(gateway).length === 0)
  assert.deepEqual(world.broker.sessions()[0]?.subscriptions, [])
  offers(offer('d', oslo))
  gateway.send(subscribePacket(2, ['open/#', 0]), publishPacket('open/last', 'x'))
  await until(() => knows(gateway).includes('open/last'))
  assert.deepEqual(knows(gateway), ['open/last'])
})

test('case 106: who may see nothing is refused; and one who hears all other topics hears nothing of services', async (t) => {
  const { world, offers } = await open(t)
  world.setPolicy(roles(ofSite).replace('"a/+"', '"#"'))
  world.labels.set(device('s'), { kind: 'single' })
  offers(offer('plc', oslo))
  const single = await world.raw('s')
  await single.connect('s')
  single.send(subscribePacket(1, ['#', 0], ['$touchmark/#', 0], [topicOf('plc'), 0], ['+/services/#', 0]))
  assert.deepEqual((await single.next('suback')).granted, [0, 0x80, 0x80, 0])
  offers(offer('plc', oslo, 'opcua', 1))
  const other = await world.raw('d')
  await other.connect('d')
  other.send(publishPacket('open/last', 'x'))
  await until(() => heard(single).length > 0)
  assert.deepEqual(heard(single), [['open/last', 'x']])
  assert.deepEqual(
    world.records('message.subscribe').flatMap(({ topic, reason }) => (reason === undefined ? [] : [[topic, reason]])),
    [
      ['$touchmark/#', 'reserved'],
      [topicOf('plc'), 'reserved'],
    ],
  )
  assert.equal(world.records('message.deliver').filter(({ decision }) => decision === 'deny').length, 0)
})

test('who subscribes again is told again, who unsubscribes hears of no more, also not that it is gone', async (t) => {
  const { offers, goes, watch } = await open(t)
  offers(offer('plc', oslo))
  const gateway = await watch('g', '$touchmark/services/+/opcua')
  await until(() => heard(gateway).length === 1)
  gateway.send(subscribePacket(2, ['$touchmark/services/+/opcua', 0]))
  await until(() => heard(gateway).length === 2)
  gateway.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['$touchmark/services/+/opcua'] })
  await gateway.next('unsuback')
  goes('plc')
  offers(offer('plc2', oslo))
  gateway.send(subscribePacket(4, ['$touchmark/services/#', 0]))
  await until(() => heard(gateway).length === 3)
  assert.deepEqual(knows(gateway), [topicOf('plc'), topicOf('plc2')]) // it was not told of what went meanwhile
})

test('a session that was away hears what has changed, and after a restart all of it; nothing of it is stored', async (t) => {
  const { world, offers, goes, watch } = await open(t)
  offers(offer('stays', oslo))
  offers(offer('goes', oslo))
  const first = await watch('g', '$touchmark/#', { clean: false })
  await until(() => knows(first).length === 2)
  first.socket.destroy()
  await until(() => !world.broker.isOnline(device('g')))
  goes('goes')
  offers(offer('comes', oslo))
  const second = await world.raw('g')
  await second.connect('g', { clean: false })
  await until(() => heard(second).length === 2)
  assert.deepEqual(
    heard(second)
      .map(([topic, payload]) => [topic, payload !== ''])
      .toSorted(),
    [
      [topicOf('comes'), true],
      [topicOf('goes'), false],
    ],
  )
  assert.equal(world.broker.levels().retainedMessages, 0)
  await world.restart()
  for await (const [key] of world.store.entries('broker/')) assert.ok(!/^broker\/(retained|queue)\//.test(key), key)
  const third = await world.raw('g')
  await third.connect('g', { clean: false })
  offers(offer('later', oslo))
  await until(() => knows(third).length === 1)
})

test('a thousand services reach a slow reader each once, and what changes while it does not read reaches it in the end', async (t) => {
  const world = await makeWorld(t, { policy: roles(ofSite), limits: { maxOutputBytes: 4096 } })
  world.labels.set(device('g'), gatewayLabels)
  const change = (at: number, port: number) => {
    const after = [offer(`plc-${at}`, oslo, 'opcua', port)]
    world.broker.servicesChanged({ before: [], after })
  }
  for (let at = 0; at < 1000; at++) change(at, 1)
  const gateway = await world.raw('g')
  await gateway.connect('g')
  gateway.socket.pause()
  gateway.send(subscribePacket(1, ['$touchmark/#', 0]))
  await until(() => world.records('message.deliver').length > 0)
  for (let at = 0; at < 1000; at++) change(at, 2)
  gateway.socket.resume()
  await until(() => {
    const ports = new Map(
      heard(gateway).map(([topic, payload]) => [topic, (JSON.parse(payload) as OfferedService).port]),
    )
    return ports.size === 1000 && [...ports.values()].every((port) => port === 2)
  })
})
