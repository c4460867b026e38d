import assert from 'node:assert/strict'
import { connect as tlsConnect } from 'node:tls'
import test from 'node:test'
import { connectPacket, device, listenTo, makeWorld, policySource, publishPacket, until } from './harness.js'

test('a client id of another device is refused before its owner is disturbed', async (t) => {
  const world = await makeWorld(t)
  const victim = await world.raw('d1')
  await victim.connect('d1')
  for (const clientId of ['d1', 'd1~x', 'd2~', 'd2~a/b', `d2~${'x'.repeat(33)}`, '', '__proto__']) {
    const client = await world.raw('d2')
    assert.equal((await client.connect(clientId)).returnCode, 2, clientId)
    await client.closed
  }
  await victim.ping()
  assert.equal(world.records('session.end').length, 0)
  world.clock += 11_000
  await until(() => world.records('session.refuse').length === 2)
  assert.deepEqual(
    world.records('session.refuse').map(({ reason, count }) => [reason, count]),
    [
      ['client_id', 1],
      ['client_id', 6],
    ],
  )
})

test('a suffix needs a role with several sessions, and their number is held', async (t) => {
  const world = await makeWorld(t)
  world.labels.set(device('s1'), { kind: 'single' })
  assert.equal((await (await world.raw('s1')).connect('s1~pub')).returnCode, 2)
  for (const id of ['d1~a', 'd1~b', 'd1']) assert.equal((await (await world.raw('d1')).connect(id)).returnCode, 0)
  assert.equal((await (await world.raw('d1')).connect('d1~c')).returnCode, 5)
})

for (const [what, change, code] of [
  [
    'to have several sessions',
    (policy: string) => policy.replace('sessions: { max: 3 }', 'sessions: { max: 1 }'),
    0x85,
  ],
  ['to its will', (policy: string) => policy.replace('actions: [publish, will]', 'actions: [publish]'), 0x87],
] as const) {
  test(`a right ${what} that is gone when its connection is on record turns it away, and disturbs no one`, async (t) => {
    const world = await makeWorld(t)
    const will = { topic: 'open/will', payload: Buffer.from('w'), qos: 0, retain: false } as const
    const older = await world.raw('d1', {}, 5)
    await older.connect('d1~x')
    world.audit.hold()
    const client = await world.raw('d1', {}, 5)
    const answered = client.connect('d1~x', { will })
    await until(() => world.records('session.connect').length === 2)
    world.setPolicy(change(policySource()))
    world.audit.release()
    assert.equal((await answered).reasonCode, code)
    await client.closed
    await older.ping()
    assert.deepEqual(world.broker.sessions().length, 1)
  })
}

test('the same client id takes over from its older connection', async (t) => {
  const world = await makeWorld(t)
  const old = await world.raw('d1')
  await old.connect('d1')
  const young = await world.raw('d1')
  assert.equal((await young.connect('d1')).returnCode, 0)
  await old.closed
  assert.equal(world.records('session.end')[0]?.reason, 'taken_over')
  await young.ping()
})

test('levels of MQTT that nobody speaks here are answered with CONNACK 1', async (t) => {
  const world = await makeWorld(t)
  for (const level of [3, 6]) {
    const client = await world.raw('d1')
    client.write(Uint8Array.of(0x10, 14, 0, 4, 0x4d, 0x51, 0x54, 0x54, level, 2, 0, 60, 0, 2, 0x64, 0x31))
    assert.equal((await client.next('connack')).returnCode, 1)
    await client.closed
  }
})

test('what is pipelined behind a CONNECT waits for it, and is never looked at when it is refused', async (t) => {
  const world = await makeWorld(t)
  world.pending = true
  const good = await world.raw('d1')
  good.send(connectPacket('d1'), publishPacket('f/d1/t', 'x', { qos: 1, messageId: 1 }))
  await good.next('puback')
  assert.deepEqual(world.promoted, ['d1'])
  world.refused.set(device('d2'), 'superseded')
  const bad = await world.raw('d2')
  bad.send(connectPacket('d2'), publishPacket('f/d2/t', 'x', { qos: 1, messageId: 1 }))
  assert.equal((await bad.next('connack')).returnCode, 5)
  await bad.closed
  assert.equal(world.records('message.publish').length, 1)
  assert.equal(world.records('session.refuse')[0]?.reason, 'superseded')
})

test('a forbidden will refuses the CONNECT; an allowed one is published when the connection is lost', async (t) => {
  const world = await makeWorld(t)
  const listener = await listenTo(world, 'd2', 'open/#', 1)
  const fixed = { payload: Buffer.from('gone'), qos: 1, retain: false } as const
  for (const topic of ['f/d2/state', '$SYS/x']) {
    const client = await world.raw('d1')
    assert.equal((await client.connect('d1', { will: { ...fixed, topic } })).returnCode, 5, topic)
  }
  const highest = await world.raw('d1')
  assert.equal((await highest.connect('d1', { will: { ...fixed, topic: 'open/w', qos: 2 } })).returnCode, 5)
  const client = await world.raw('d1')
  await client.connect('d1', { will: { ...fixed, topic: 'open/w' } })
  client.socket.destroy()
  assert.equal((await listener.next('publish')).payload.toString(), 'gone')
  const polite = await world.raw('d1')
  await polite.connect('d1', { will: { ...fixed, topic: 'open/w' } })
  polite.send({ cmd: 'disconnect' })
  await polite.closed
  await listener.ping()
  assert.equal(listener.all('publish').length, 1)
})

test('silence is ended: no CONNECT, a half-sent packet, no keep alive, a certificate that has run out', async (t) => {
  const world = await makeWorld(t)
  const [mute, half, asleep, old] = [
    await world.raw('d1'),
    await world.raw('d2'),
    await world.raw('d3'),
    await world.raw('d4'),
  ]
  await half.connect('d2', { keepalive: 0 })
  await asleep.connect('d3', { keepalive: 20 })
  await old.connect('d4', { keepalive: 0 })
  half.write(Uint8Array.of(0x30, 10, 0))
  await until(() => world.broker.sessions().length === 3)
  await asleep.ping()
  world.clock += 31_000
  await Promise.all([mute.closed, half.closed, asleep.closed])
  world.clock += 2 * 86_400_000
  await old.closed
  assert.deepEqual(
    world
      .records('session.end')
      .map(({ device, reason }) => `${device} ${reason}`)
      .sort(),
    ['d2 protocol_error', 'd3 keep_alive', 'd4 expired'],
  )
  assert.equal(world.records('session.refuse')[0]?.reason, 'connect_timeout')
})

test('a client without a certificate, or with one of a foreign CA, gets no connection', async (t) => {
  const world = await makeWorld(t)
  const socket = tlsConnect({ host: '127.0.0.1', port: world.port, ca: world.ca })
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('close', resolve))
  await until(() => world.records('session.refuse').length === 1)
  assert.equal(world.records('session.refuse')[0]?.reason, 'tls')
})

test('a resumed TLS session is identified and admitted anew', async (t) => {
  const world = await makeWorld(t)
  const first = await world.raw('d1', { maxVersion: 'TLSv1.2' })
  const session = first.socket.getSession()
  assert.equal((await first.connect('d1')).returnCode, 0)
  first.socket.destroy()
  world.refused.set(device('d1'), 'revoked')
  const again = await world.raw('d1', { maxVersion: 'TLSv1.2', ...(session && { session }) })
  assert.ok(again.socket.isSessionReused())
  assert.equal((await again.connect('d1')).returnCode, 5)
})

test('a clock that is set right, forward or back, costs nobody the connection; a certificate ends by it all the same', async (t) => {
  let elapsed = 0
  let looks = 0
  const look = () => {
    looks++
    return elapsed
  }
  const world = await makeWorld(t, { change: { elapsed: look } })
  const client = await world.raw('d1')
  await client.connect('d1', { keepalive: 10 })
  for (const hours of [12, -12]) {
    world.clock += hours * 3_600_000
    const before = looks
    await until(() => looks > before + 4) // nobody speaks: it is the sweeps that look
    await client.ping()
  }
  elapsed += 15_001
  await client.closed
  const late = await world.raw('d1')
  await late.connect('d1')
  world.clock += 25 * 3_600_000
  await late.closed
  assert.deepEqual(
    world.records('session.end').map(({ reason }) => reason),
    ['keep_alive', 'expired'],
  )
})
