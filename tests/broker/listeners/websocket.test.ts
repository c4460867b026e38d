import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as tcpConnect } from 'node:net'
import test, { type TestContext } from 'node:test'
import { connect as tlsConnect, type TLSSocket } from 'node:tls'
import mqttPacket, { type Packet } from 'mqtt-packet'
import type { WebSocket } from 'ws'
import { connectPacket, device, makeWorld, publishPacket, subscribePacket, until, type World } from '../harness.js'
import { listenToo, openWebSocket } from './world.js'

const kind = 'websocket'
const bytes = (packet: Packet): Buffer => mqttPacket.generate(packet)

test('a device speaks and hears over WebSocket with the identity, the policy and the audit of any other', async (t) => {
  const world = await makeWorld(t)
  const port = await listenToo(world, { kind })
  const client = await world.client('d1', { protocol: 'wss', port, path: '/mqtt' })
  await client.subscribeAsync('f/d1/in', { qos: 1 })
  const heard: string[] = []
  client.on('message', (_, body) => heard.push(String(body)))
  await client.publishAsync('f/d1/in', 'hello', { qos: 1 })
  await until(() => heard[0] === 'hello')
  assert.equal(world.records('session.connect')[0]?.device, 'd1')
  assert.equal(world.records('message.publish')[0]?.topic, 'f/d1/in')
  await assert.rejects(client.subscribeAsync('f/d2/in')) // nobody's right is larger here
  world.broker.endDevices([device('d1')], 'revoked')
  await until(() => !client.connected)
  assert.equal(world.records('session.end')[0]?.reason, 'revoked')
})

test('WebSocket asks for the client certificate too', async (t) => {
  const world = await makeWorld(t)
  const port = await listenToo(world, { kind })
  const webSocket = await openWebSocket(t, world, port, { key: '', cert: '' })
  assert.equal(webSocket.readyState, webSocket.CLOSED)
  await until(() => world.records('session.refuse')[0]?.reason === 'tls')
  assert.equal((await speak(await openWebSocket(t, world, port), 'd2')).returnCode, 2) // d1 that says it is d2
})

test('packets span messages and share them as the client likes', async (t) => {
  const world = await makeWorld(t)
  const webSocket = await openWebSocket(t, world, await listenToo(world, { kind }))
  const stream = Buffer.concat([
    bytes(connectPacket('d1')),
    bytes(subscribePacket(1, ['f/d1/#', 1])),
    bytes(publishPacket('f/d1/x', 'one', { qos: 1, messageId: 2 })),
  ])
  const packets = packetsOf(webSocket)
  for (const at of stream.subarray(0, 20).keys()) webSocket.send(stream.subarray(at, at + 1))
  webSocket.send(stream.subarray(20, 60), { fin: false })
  webSocket.send(Buffer.alloc(0), { fin: false })
  webSocket.send(stream.subarray(60), { fin: true })
  await until(() => ['connack', 'suback', 'puback', 'publish'].every((cmd) => packets.some((one) => one.cmd === cmd)))
})

test('a large message arrives whole, and a reader that is slow costs no more than its own bound', async (t) => {
  const world = await makeWorld(t)
  const port = await listenToo(world, { kind })
  const client = await world.client('d1', { protocol: 'wss', port, path: '/' })
  await client.subscribeAsync('open/big', { qos: 1 })
  const payload = Buffer.alloc(200 * 1024, 7)
  const heard: Buffer[] = []
  client.on('message', (_, body) => heard.push(body))
  for (let nth = 0; nth < 20; nth++) await client.publishAsync('open/big', payload, { qos: 1 })
  await until(() => heard.length === 20)
  assert.ok(heard.every((body) => body.equals(payload)))

  const slow = await openWebSocket(t, world, port, { id: 'd2' })
  await speak(slow, 'd2')
  slow.send(bytes(subscribePacket(1, ['open/big', 0])))
  await until(() =>
    world.broker.sessions().some(({ clientId, subscriptions }) => clientId === 'd2' && subscriptions[0]),
  )
  slow.pause()
  for (let nth = 0; nth < 60; nth++) await client.publishAsync('open/big', payload, { qos: 0 })
  await client.publishAsync('open/big', 'last', { qos: 1 })
  await until(() => heard.length === 81)
  await until(() => world.records('message.drop').some(({ device }) => device === 'd2'))
})

for (const [what, frame, code, reason] of [
  ['text', (webSocket: WebSocket) => webSocket.send('CONNECT'), 1003, 'protocol_violation'],
  ['one that is too large', (webSocket: WebSocket) => webSocket.send(Buffer.alloc(300_000)), 1009, 'packet_too_large'],
  ['many pieces', (webSocket: WebSocket) => sendPieces(webSocket, 2000), 1008, 'protocol_violation'],
] as const) {
  test(`a message of ${what} ends the connection with ${code}`, async (t) => {
    const world = await makeWorld(t)
    const webSocket = await openWebSocket(t, world, await listenToo(world, { kind }))
    const closed = once(webSocket, 'close')
    frame(webSocket)
    assert.equal((await closed)[0], code)
    await until(() => world.records('session.refuse')[0]?.reason === reason)
  })
}

test('bytes that are no WebSocket frame end the connection, also in a session', async (t) => {
  const world = await makeWorld(t)
  const port = await listenToo(world, { kind })
  const socket = await openTls(t, world, port)
  socket.write(upgrade())
  assert.match(await answerOf(socket), /^HTTP\/1\.1 101 /)
  const closed = once(socket, 'close')
  socket.write(Uint8Array.of(0x82, 0x01, 0x10)) // not masked: RFC 6455 §5.1
  await closed
  await until(() => world.records('session.refuse')[0]?.reason === 'protocol_violation')
})

for (const [what, request, status, comment] of [
  ['a page of another site', upgrade('/mqtt', 'Origin: https://evil.example'), 403, 'origin not allowed'],
  ['a page that hides its site', upgrade('/mqtt', 'Origin: null'), 403, 'origin not allowed'],
  ['no subprotocol', upgrade('/mqtt', '', ''), 400, 'the subprotocol is mqtt'],
  ['another subprotocol', upgrade('/mqtt', '', 'mqttv3.1, mqtt5'), 400, 'the subprotocol is mqtt'],
  ['another path', upgrade('/console'), 404, 'nothing here; the path is /mqtt'],
  ['a plain request', 'GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n', 426, 'this port speaks MQTT over WebSocket'],
  ['another upgrade', upgrade().replace('Upgrade: websocket', 'Upgrade: h2c'), 400, 'Invalid Upgrade header'],
  ['another version', upgrade().replace('Version: 13', 'Version: 12'), 400, undefined],
  ['MQTT without WebSocket', bytes(connectPacket('d1')), 400, 'not a request'],
  ['a header without end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(10_000)}`, 400, 'not a request'],
] as const) {
  test(`${what} gets a short answer of HTTP ${status} and the end`, async (t) => {
    const world = await makeWorld(t)
    const socket = await openTls(t, world, await listenToo(world, { kind }))
    const closed = once(socket, 'close')
    socket.write(request)
    assert.match(await answerOf(socket), new RegExp(`^HTTP/1\\.1 ${status} `))
    await closed
    const refused = world.records('session.refuse')
    assert.deepEqual([refused.length, refused[0]?.reason], [1, 'upgrade'])
    if (comment !== undefined) assert.equal(refused[0]?.comment, comment)
  })
}

test('a page of an origin that is allowed may connect', async (t) => {
  const world = await makeWorld(t)
  const port = await listenToo(world, { kind, allowedOrigins: ['https://console.example'] })
  const webSocket = await openWebSocket(t, world, port, { origin: 'https://console.example' })
  assert.equal((await speak(webSocket, 'd1')).returnCode, 0)
  const other = await openWebSocket(t, world, port, { origin: 'https://console.example.evil.example' })
  assert.equal(other.readyState, other.CLOSED)
})

test('a client that names this very server as its origin may connect, as those of Eclipse Paho do', async (t) => {
  const world = await makeWorld(t)
  const port = await listenToo(world, { kind })
  const webSocket = await openWebSocket(t, world, port, { origin: `https://localhost:${port}` })
  assert.equal((await speak(webSocket, 'd1')).returnCode, 0)
  for (const origin of [`http://localhost:${port}`, `https://localhost:${port + 1}`, 'https://localhost']) {
    const other = await openWebSocket(t, world, port, { origin })
    assert.equal(other.readyState, other.CLOSED, origin)
  }
})

test('who does not ask, does not connect, or leaves a message half sent is given up in time', async (t) => {
  const world = await makeWorld(t)
  const port = await listenToo(world, { kind })
  const [silent, half] = [await openTls(t, world, port), await openTls(t, world, port)]
  half.write('GET /mqtt HTTP/1.1\r\nHo')
  const mute = await openWebSocket(t, world, port, { id: 'd2' })
  const stuck = await openWebSocket(t, world, port, { id: 'd3' })
  await speak(stuck, 'd3', 0)
  stuck.send(Buffer.of(0xc0), { fin: false }) // PINGREQ lacks its second byte, and the message its end
  stuck.ping()
  await once(stuck, 'pong')
  const gone = [silent, half, mute, stuck].map((one) => once(one, 'close'))
  world.clock += 11_000
  await Promise.all(gone.slice(0, 3))
  world.clock += 20_000
  await gone[3]
  assert.deepEqual(
    new Set(world.records('session.refuse').map(({ reason }) => reason)),
    new Set(['upgrade_timeout', 'connect_timeout']),
  )
  assert.deepEqual(
    world.records('session.end').map(({ comment }) => comment),
    ['packet_timeout'],
  )
})

test('a client that does not answer the goodbye is let go in time', async (t) => {
  const world = await makeWorld(t)
  const port = await listenToo(world, { kind })
  const socket = await openTls(t, world, port)
  socket.write(upgrade())
  await answerOf(socket)
  const closed = once(socket, 'close')
  const goodbye = mqttPacket.generate({ cmd: 'disconnect' })
  socket.write(Buffer.concat([masked(bytes(connectPacket('d1'))), masked(goodbye)]))
  await until(() => world.records('session.end')[0]?.reason === 'client')
  world.clock += 6000
  await closed
})

test('plain TCP on the port is no more than a failed handshake', async (t) => {
  const world = await makeWorld(t)
  const socket = tcpConnect({ host: '127.0.0.1', port: await listenToo(world, { kind }) }).resume()
  t.after(() => socket.destroy())
  socket.on('error', () => undefined)
  socket.write(upgrade())
  await new Promise<void>((resolve) => socket.once('close', () => resolve()))
  await until(() => world.records('session.refuse')[0]?.reason === 'tls')
})

/** CONNECT and its answer. */
async function speak(webSocket: WebSocket, clientId: string, keepalive = 60) {
  const packets = packetsOf(webSocket)
  webSocket.send(bytes(connectPacket(clientId, { keepalive })))
  await until(() => packets.length > 0)
  const [connack] = packets
  assert.equal(connack?.cmd, 'connack')
  return connack
}

function packetsOf(webSocket: WebSocket): Packet[] {
  const packets: Packet[] = []
  const parser = mqttPacket.parser({ protocolVersion: 4 })
  parser.on('packet', (packet: Packet) => packets.push(packet))
  webSocket.on('message', (data, isBinary) => {
    assert.ok(isBinary && Buffer.isBuffer(data)) // [MQTT-6.0.0-1]
    parser.parse(data)
  })
  return packets
}

function sendPieces(webSocket: WebSocket, count: number): void {
  for (let nth = 0; nth < count; nth++) webSocket.send(Buffer.of(0), { fin: false })
}

/** A request as the wire has it. */
function upgrade(path = '/mqtt', more = '', protocol = 'mqtt'): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${Buffer.alloc(16, 1).toString('base64')}`,
    ...(protocol === '' ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
    ...(more === '' ? [] : [more]),
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** One binary message from a client, with a mask of zeros (RFC 6455 §5.2). */
function masked(body: Buffer): Buffer {
  return Buffer.concat([Uint8Array.of(0x82, 0x80 | body.length, 0, 0, 0, 0), body])
}

async function openTls(t: TestContext, world: World, port: number): Promise<TLSSocket> {
  const socket = tlsConnect({ host: '127.0.0.1', port, ca: world.ca, ...(await world.credentials('d1')) })
  t.after(() => socket.destroy())
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  return socket
}

/** The head of what comes back. */
async function answerOf(socket: TLSSocket): Promise<string> {
  let answer = ''
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
  await until(() => answer.includes('\r\n\r\n'))
  return answer
}
