import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as tcpConnect, createServer, Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import { connect as tlsConnect } from 'node:tls'
import { defaultLimits } from '#broker'
import { type Eviction, HalfOpen, type Place } from '../../../broker/listeners/half-open.js'
import { makeWorld, until } from '../harness.js'
import { listenToo } from './world.js'

test('when all places are taken the source with the most gives up its oldest', () => {
  const { enter, lost, wait } = makePlaces(4)
  for (const name of ['greedy 1', 'greedy 2', 'greedy 3']) enter('192.0.2.1', name)
  enter('192.0.2.2', 'modest')
  wait(2)
  assert.ok(enter('192.0.2.3', 'newcomer'))
  assert.deepEqual(lost, [['greedy 1', 'quota']])
  assert.ok(enter('192.0.2.1', 'greedy 4'))
  assert.deepEqual(lost.slice(1), [['greedy 2', 'quota']])
})

test('among equals the older ones have the time of a handshake, then the newer ones their turn', () => {
  const { enter, lost, wait } = makePlaces(2)
  enter('192.0.2.1', 'first')
  enter('192.0.2.1', 'second')
  assert.equal(enter('192.0.2.1', 'too early'), undefined)
  assert.deepEqual(lost, [])
  assert.ok(enter('192.0.2.2', 'from elsewhere')) // at once: its source holds fewer
  wait(2)
  assert.ok(enter('192.0.2.3', 'late'))
  assert.deepEqual([lost.length, lost[0]], [2, ['first', 'quota']])
})

test('where handshakes take long because we are slow, the older ones have that long, and no longer than one may take', () => {
  const { enter, lost, wait, places } = makePlaces(2)
  for (let done = 0; done < 100; done++) {
    const honest = enter('192.0.2.1', 'honest')
    wait(4)
    if (honest) places.finished(honest)
    honest?.leave()
  }
  enter('192.0.2.1', 'first')
  enter('192.0.2.2', 'second')
  wait(7)
  assert.equal(enter('192.0.2.3', 'one more'), undefined)
  assert.deepEqual(lost, [])
  wait(2)
  assert.ok(enter('192.0.2.3', 'one more, later'))
  assert.deepEqual(lost, [['first', 'quota']])
})

test('the addresses of one IPv6 subscriber are one source', () => {
  const { enter, lost, wait } = makePlaces(3)
  for (const address of ['2001:db8::1', '2001:db8::2', '2001:db8:0:1::1']) enter(address, address)
  wait(2)
  enter('192.0.2.1', 'other')
  assert.deepEqual(lost, [['2001:db8::1', 'quota']])
})

test('places that are left are free, and whoever moves counts where it has moved to', () => {
  const { enter, lost, wait } = makePlaces(3)
  const behindProxy = [enter('10.0.0.1', 'one'), enter('10.0.0.1', 'two'), enter('10.0.0.1', 'three')]
  behindProxy[0]?.move('192.0.2.1')
  behindProxy[1]?.move('192.0.2.1')
  behindProxy[2]?.leave()
  behindProxy[2]?.leave()
  enter('192.0.2.2', 'four')
  wait(2)
  enter('192.0.2.3', 'five')
  assert.deepEqual(lost, [['one', 'quota']])
})

test('who takes too long over a step loses the place', () => {
  const { enter, lost, wait, places } = makePlaces(3)
  for (const name of ['slow', 'slower']) {
    const place = enter('192.0.2.1', name)
    if (place) place.deadline = name === 'slow' ? 10_000 : 20_000
  }
  places.sweep()
  assert.deepEqual(lost, [])
  wait(11)
  places.sweep()
  assert.deepEqual(lost, [['slow', 'timeout']])
})

test('10,000 connections that say nothing hold few places and little memory, and keep nobody else out', async (t) => {
  const world = await makeWorld(t)
  const speaker = await world.client('d1')
  const hello = await clientHello()
  const before = process.memoryUsage().rss
  const sources = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5']
  const silent: Socket[] = []
  for (let wave = 0; wave < 20; wave++) {
    for (let nth = 0; nth < 500; nth++) silent.push(openSilent(t, world.port, sources[nth % 4] ?? ''))
    await speaker.publishAsync('f/d1/x', 'still here', { qos: 1 })
    const newcomer = await world.client('d2')
    await newcomer.publishAsync('f/d2/x', 'at once', { qos: 1 })
    await newcomer.endAsync()
    world.clock += 500
    if (wave % 4 === 0) for (const socket of silent.slice(-500)) if (!socket.destroyed) socket.write(hello) // and now TLS state, too
  }
  const open = () => silent.filter((socket) => !socket.destroyed).length
  await until(() => open() <= defaultLimits.maxUnconnected)
  const each = (process.memoryUsage().rss - before) / 10_000
  assert.ok(each < 64 * 1024, `${each} bytes for each of them, on both sides`)
  assert.equal(world.records('session.end').filter(({ reason }) => reason !== 'client').length, 0)
  assert.ok(world.records('session.refuse').every(({ peer }) => peer !== '127.0.0.1'))
  await speaker.publishAsync('f/d1/x', 'to the end', { qos: 1 })
})

test('TLS begins with a whole ClientHello, in however many pieces it comes', async (t) => {
  const world = await makeWorld(t)
  const hello = await clientHello()
  const socket = openSilent(t, world.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setNoDelay(true)
  let answered = false
  socket.on('data', () => (answered = true))
  for (const [from, to] of [
    [0, 1],
    [1, 4],
    [4, 6],
    [6, hello.length - 1],
  ] as const) {
    socket.write(hello.subarray(from, to))
    await world.client('d1').then((client) => client.endAsync()) // whoever comes later has been answered by then
    assert.equal(answered, false)
  }
  socket.write(hello.subarray(-1))
  await until(() => answered)
})

test('whoever announces a ClientHello larger than any is left to TLS, which ends it', async (t) => {
  const world = await makeWorld(t)
  const socket = openSilent(t, world.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(Buffer.concat([Buffer.of(22, 3, 1, 0xff, 0xff), Buffer.alloc(4096, 1)]))
  await once(socket, 'close')
  await until(() => world.records('session.refuse')[0]?.reason === 'tls')
})

test('half a ClientHello and gone leaves no place taken', async (t) => {
  const world = await makeWorld(t, { limits: { maxUnconnected: 1 } })
  const socket = openSilent(t, world.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.end((await clientHello()).subarray(0, 100))
  await once(socket, 'close')
  await world.client('d1') // with no time passing
  assert.deepEqual(world.records('session.refuse'), []) // TLS, which would have had a word to say, never saw it
})

test('who has said nothing, or half of something, is gone when the broker has ended', async (t) => {
  const world = await makeWorld(t)
  const webSocketPort = await listenToo(world, { kind: 'websocket' })
  const hello = await clientHello()
  const sockets = [world.port, webSocketPort].flatMap((port) =>
    [Buffer.alloc(0), hello.subarray(0, 100), hello].map((said) => {
      const socket = openSilent(t, port, '127.0.0.1')
      socket.write(said)
      return socket
    }),
  )
  for (const port of [world.port, webSocketPort])
    await until(() => sockets.some((one) => one.remotePort === port && one.bytesRead > 0))
  const gone = sockets.map((socket) => once(socket, 'close'))
  await world.broker.closeGracefully()
  await Promise.all(gone)
  assert.deepEqual(world.records('session.refuse'), [])
})

function makePlaces(maxUnconnected: number) {
  let now = 1_000
  const places = new HalfOpen({ ...defaultLimits, maxUnconnected, crowdedOutAfterSeconds: 1 }, () => now)
  const lost: [string, Eviction][] = []
  return {
    places,
    lost,
    enter: (address: string, name: string): Place | undefined => places.enter(address, (why) => lost.push([name, why])),
    wait: (seconds: number) => {
      now += seconds * 1000
    },
  }
}

function openSilent(t: TestContext, port: number, localAddress: string): Socket {
  const socket = tcpConnect({ host: '127.0.0.1', port, localAddress })
  socket.on('error', () => undefined)
  socket.resume() // else it never sees the end behind an answer
  t.after(() => socket.destroy())
  return socket
}

/** The first thing that a client of TLS says. */
async function clientHello(): Promise<Buffer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const client = tlsConnect({ host: '127.0.0.1', port: address.port })
  client.on('error', () => undefined)
  const [accepted] = await once(server, 'connection')
  assert.ok(accepted instanceof Socket)
  const [hello] = await once(accepted, 'data')
  assert.ok(Buffer.isBuffer(hello))
  client.destroy()
  accepted.destroy()
  server.close()
  return hello
}
