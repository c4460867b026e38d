import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as tcpConnect } from 'node:net'
import test, { type TestContext } from 'node:test'
import { connect as tlsConnect } from 'node:tls'
import { RightsTerm } from '../../broker/rights-term.js'
import { makeWorld, publishPacket, RawClient, subscribePacket, until, type World } from './harness.js'
import { listenToo } from './listeners/world.js'

/** Everyone has `f/ID`; `open` and three sessions come with a role that is bound under a condition. */
const policyWith = (when: string) => `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: test, version: 3 }
onDenyPublish: drop
roles:
  own:
    allow:
      - { id: all, actions: [publish, subscribe, receive], topics: ["f/\${device.id}/#"] }
  shift:
    sessions: { max: 3 }
    allow:
      - { id: all, actions: [publish, will, subscribe, receive], topics: ["open/#"] }
bindings:
  - { role: own, match: { tier: tpm } }
  - { role: shift, match: { tier: tpm }, when: { ${when} } }
`

const start = Date.now()
const limit = start + 60_000
const iso = (time: number) => new Date(time).toISOString()

const decisions = (world: World) =>
  world
    .records('message.publish')
    .map(({ topic, decision, reason }) => [topic, decision, ...(reason === undefined ? [] : [reason])].join(' '))

/** Publishes, and waits for the answer. */
async function publish(client: RawClient, topic: string): Promise<void> {
  const nth = client.all('puback').length + 1
  client.send(publishPacket(topic, 'x', { qos: 1, messageId: nth }))
  await client.next('puback', nth)
}

test('a live session loses at a time limit what it grants, and nothing else', async (t) => {
  const world = await makeWorld(t, { policy: policyWith(`notAfter: ${iso(limit)}`) })
  const client = await world.raw('d1')
  await client.connect('d1')
  client.send(subscribePacket(1, ['open/#', 1], ['f/d1/#', 1]))
  assert.deepEqual((await client.next('suback')).granted, [1, 1])
  world.clock = limit - 1
  await publish(client, 'open/x')
  await client.next('publish')
  world.clock = limit
  await until(() => world.broker.sessions()[0]?.subscriptions.length === 1)
  await publish(client, 'open/x')
  await publish(client, 'f/d1/x')
  assert.equal((await client.next('publish', 2)).topic, 'f/d1/x')
  assert.deepEqual(decisions(world), ['open/x allow', 'open/x deny condition', 'f/d1/x allow'])
  const [granted, kept, ended] = world.records('message.subscribe')
  assert.deepEqual([granted?.decision, kept?.decision], ['allow', 'allow'])
  assert.deepEqual([ended?.topic, ended?.decision, ended?.reason], ['open/#', 'deny', 'condition'])
  assert.equal(world.records('session.end').length, 0)
})

test('a live session gains at a time limit what it grants, and loses it again when the clock is set back', async (t) => {
  const early = '  early: { allow: [{ id: all, actions: [subscribe, receive], topics: [early/#] }] }'
  const policy = `${policyWith(`notBefore: ${iso(limit)}`).replace('roles:', `roles:\n${early}`)}
  - { role: early, match: { tier: tpm }, when: { notAfter: ${iso(limit)} } }`
  const world = await makeWorld(t, { policy })
  const client = await world.raw('d1')
  await client.connect('d1')
  client.send(subscribePacket(1, ['open/#', 1], ['early/#', 1]))
  assert.deepEqual((await client.next('suback')).granted, [128, 1])
  await publish(client, 'open/x')
  world.clock = limit
  await until(() => world.broker.sessions()[0]?.subscriptions.length === 0) // the same moment takes what ends and gives
  await publish(client, 'open/x')
  client.send(subscribePacket(2, ['open/#', 1]))
  assert.deepEqual((await client.next('suback', 2)).granted, [1])
  world.clock = limit - 1
  await until(() => world.broker.sessions()[0]?.subscriptions.length === 0)
  await publish(client, 'open/x')
  assert.deepEqual(decisions(world), ['open/x deny condition', 'open/x allow', 'open/x deny condition'])
})

test('sessions beyond what is left at a time limit end, and the device keeps its own', async (t) => {
  const world = await makeWorld(t, { policy: policyWith(`notAfter: ${iso(limit)}`) })
  const [own, second] = [await world.raw('d1'), await world.raw('d1')]
  await own.connect('d1')
  await second.connect('d1~2')
  world.clock = limit
  await second.closed
  await own.ping()
  assert.deepEqual(
    world.records('session.end').map(({ reason }) => reason),
    ['denied'],
  )
})

test('where fewer sessions are left, those that came first stay', async (t) => {
  const fewer = policyWith(`notAfter: ${iso(limit)}`).replace('own:', 'own:\n    sessions: { max: 2 }')
  const world = await makeWorld(t, { policy: fewer })
  const clients = []
  for (const name of ['d1~1', 'd1~2', 'd1~3']) {
    const client = await world.raw('d1')
    await client.connect(name)
    clients.push(client)
  }
  world.clock = limit
  await clients[2]?.closed
  for (const client of clients.slice(0, 2)) await client.ping()
  assert.deepEqual(
    world.records('session.end').map(({ reason }) => reason),
    ['quota'],
  )
})

test('rights go by the address that a trusted proxy names, and by no other word of the client', async (t) => {
  const world = await makeWorld(t, { policy: policyWith('cidr: [10.0.0.0/8, "2001:db8::/32"]') })
  const behind = await listenToo(world, { proxies: ['127.0.0.1'] })
  for (const [address, expected] of [
    ['0a010203 c0a80001', 'allow'],
    ['c0000201 c0a80001', 'deny condition'],
    ['20010db8000000000000000000000001 00000000000000000000000000000001', 'allow'],
    ['00000000000000000000ffff0a010203 00000000000000000000000000000001', 'allow'],
    ['20010db9000000000000000000000001 00000000000000000000000000000001', 'deny condition'],
  ] as const) {
    const client = await connectThrough(t, world, behind, address)
    await publish(client, 'open/x')
    assert.equal(decisions(world).at(-1), `open/x ${expected}`, address)
  }
  const direct = await world.raw('d1')
  await direct.connect('d1')
  await publish(direct, 'open/x')
  assert.equal(decisions(world).at(-1), 'open/x deny condition')
})

test('two sessions of a device at different addresses have different rights, also when policy changes', async (t) => {
  const world = await makeWorld(t, { policy: policyWith('cidr: 10.0.0.0/8') })
  world.setPolicy(policyWith('cidr: 10.0.0.0/8').replace('allow:', 'sessions: { max: 3 }\n    allow:'))
  const behind = await listenToo(world, { proxies: ['127.0.0.1'] })
  const inside = await connectThrough(t, world, behind, '0a010203 c0a80001', 'd1~in')
  const outside = await world.raw('d1')
  await outside.connect('d1~out')
  await world.broker.policyChanged()
  await publish(inside, 'open/x')
  await publish(outside, 'open/x')
  assert.deepEqual(decisions(world), ['open/x allow', 'open/x deny condition'])
})

test('a will is judged by the address that its client had, over a crash too, and by the time at which it speaks', async (t) => {
  const when = `cidr: 127.0.0.0/8, notAfter: ${iso(limit)}`
  const world = await makeWorld(t, { policy: policyWith(when), limits: { willDeferSeconds: 1 } })
  const will = { topic: 'open/will', payload: Buffer.from('gone'), qos: 1, retain: false } as const
  await (await world.raw('d1')).connect('d1', { will })
  await world.crash()
  world.clock += 2000
  await until(() => decisions(world).length === 1)
  const late = await world.raw('d1')
  await late.connect('d1', { will })
  world.clock = limit
  late.socket.destroy()
  await until(() => decisions(world).length === 2)
  assert.deepEqual(decisions(world), ['open/will allow', 'open/will deny condition'])
})

test('a session that is away keeps what it has by its last address', async (t) => {
  const world = await makeWorld(t, { policy: policyWith('cidr: 127.0.0.0/8') })
  const lasting = { clean: false, properties: { sessionExpiryInterval: 1000 } }
  const client = await world.raw('d1', {}, 5)
  await client.connect('d1', lasting)
  client.send(subscribePacket(1, ['open/#', 1]))
  await client.next('suback')
  await world.restart()
  await world.broker.policyChanged()
  assert.equal(world.broker.sessions()[0]?.subscriptions.length, 1)
  const speaker = await world.raw('d2')
  await speaker.connect('d2')
  await publish(speaker, 'open/x')
  const back = await world.raw('d1', {}, 5)
  await back.connect('d1', lasting)
  assert.equal((await back.next('publish')).topic, 'open/x')
})

test('one timer waits for the nearest limit of all, and for one that is further than a timer can wait', async (t) => {
  const awake = setInterval(() => undefined, 1000) // nothing else would keep the process, on purpose
  t.after(() => clearInterval(awake))
  const now = Date.now()
  const year = 365 * 86_400_000
  let early = 0
  const distant = new RightsTerm(Date.now, () => early++)
  distant.note({ since: now, until: now + year })
  await new Promise<void>((resolve) => {
    const near = new RightsTerm(Date.now, () => {
      near.begin()
      resolve()
    })
    near.note({ since: now, until: Infinity })
    near.note({ since: now, until: now + year })
    near.note({ since: now, until: now + 20 })
    near.note({ since: now, until: now + year })
  })
  assert.ok(Date.now() >= now + 20)
  distant.end()
  assert.equal(early, 0)
})

async function connectThrough(t: TestContext, world: World, port: number, addresses: string, clientId = 'd1') {
  const path = tcpConnect({ host: '127.0.0.1', port })
  t.after(() => path.destroy())
  path.on('error', () => undefined)
  await once(path, 'connect')
  path.write(proxyHeader(addresses))
  const [device = ''] = clientId.split('~')
  const socket = tlsConnect({ socket: path, host: 'localhost', ca: world.ca, ...(await world.credentials(device)) })
  t.after(() => socket.destroy())
  await once(socket, 'secureConnect')
  const client = new RawClient(socket)
  assert.equal((await client.connect(clientId)).returnCode, 0)
  return client
}

/** HAProxy's proxy-protocol.txt §2.2, of a TCP connection between these addresses. */
function proxyHeader(addresses: string): Buffer {
  const body = Buffer.from(`${addresses.replaceAll(' ', '')}9c4022b3`, 'hex')
  const family = body.length === 12 ? '11' : '21'
  const head = Buffer.from(`0d0a0d0a000d0a515549540a21${family}0000`, 'hex')
  head.writeUInt16BE(body.length, 14)
  return Buffer.concat([head, body])
}
