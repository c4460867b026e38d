import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as tcpConnect, type Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import { connect as tlsConnect } from 'node:tls'
import { decodeProxyHeader } from '../../../broker/listeners/proxy-header.js'
import { type BrokerLimits, BrokerError } from '#broker'
import { crc32c } from '#protocol'
import { makeWorld, RawClient, until, type World } from '../harness.js'
import { listenToo, openWebSocket } from './world.js'

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const maxBytes = 2048

// HAProxy's proxy-protocol.txt §2.2: version and command, family and transport, length, addresses, records.
const tcp4 = header(0x21, 0x11, '0a010203 c0a80001 9c40 22b3')
const tcp6 = header(0x21, 0x21, `20010db8000000000000000000000001 ${'0'.repeat(31)}1 9c40 22b3`)
const local = header(0x20, 0x00, '')

test('reads what a proxy says of the client, and leaves what follows alone', () => {
  for (const [bytes, expected] of [
    [tcp4, { command: 'PROXY', address: '10.1.2.3', port: 40_000 }],
    [tcp6, { command: 'PROXY', address: '2001:db8::1', port: 40_000 }],
    [local, { command: 'LOCAL' }],
    [header(0x20, 0x11, '0a010203 c0a80001 9c40 22b3'), { command: 'LOCAL' }], // its addresses are to be ignored
    [
      header(0x21, 0x11, '0a010203 c0a80001 9c40 22b3 ea0003 010203 040000'),
      { command: 'PROXY', address: '10.1.2.3', port: 40_000 },
    ],
  ] as const) {
    const followed = Buffer.concat([bytes, Buffer.from([0x16, 3, 1])])
    assert.deepEqual(decodeProxyHeader(followed, maxBytes), { header: expected, bytes: bytes.length })
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(decodeProxyHeader(bytes.subarray(0, length), maxBytes), undefined)
    }
  }
})

test('a checksum that a proxy sends must be the one of the whole header', () => {
  const addresses = '0a010203 c0a80001 9c40 22b3'
  const summed = (checksum: string) => header(0x21, 0x11, `${addresses} ea0003 010203 030004 ${checksum} 040001 00`)
  const at = 16 + 12 + 6 + 3
  const sum = crc32c(summed('00000000'))
  const right = summed(sum.toString(16).padStart(8, '0'))
  assert.deepEqual(decodeProxyHeader(right, maxBytes)?.header, { command: 'PROXY', address: '10.1.2.3', port: 40_000 })
  for (let byte = 16; byte < right.length; byte++) {
    if (byte === at - 3) continue // that it is a checksum is said nowhere else
    const wrong = Buffer.from(right)
    wrong.writeUInt8(right.readUInt8(byte) ^ 1, byte)
    assert.throws(() => decodeProxyHeader(wrong, maxBytes), { code: 'PROXY_HEADER_INVALID' }, `${byte}`)
  }
  assert.equal(right.readUInt32BE(at), sum)
  const short = header(0x21, 0x11, `${addresses} 030003 000000`)
  assert.throws(() => decodeProxyHeader(short, maxBytes), { code: 'PROXY_HEADER_INVALID' })
})

test('refuses every other header, as soon as it can be told', () => {
  for (const [what, bytes] of [
    ['version 1', Buffer.from('PROXY TCP4 10.1.2.3 192.168.0.1 40000 8883\r\n')],
    ['the first byte of TLS', Buffer.from([0x16])],
    ['a wrong end of the signature', Buffer.concat([signature.subarray(0, 11), Buffer.from('X')])],
    ['version 3', header(0x31, 0x11, '0a010203 c0a80001 9c40 22b3')],
    ['command 2', header(0x22, 0x11, '0a010203 c0a80001 9c40 22b3')],
    ['an unknown family', header(0x21, 0x00, '')],
    ['UDP', header(0x21, 0x12, '0a010203 c0a80001 9c40 22b3')],
    ['a path of Unix', header(0x21, 0x31, '00'.repeat(216))],
    ['too few bytes for its family', header(0x21, 0x21, '0a010203 c0a80001 9c40 22b3')],
    ['a record that runs beyond it', header(0x21, 0x11, '0a010203 c0a80001 9c40 22b3 030004 0102')],
    ['half a record', header(0x21, 0x11, '0a010203 c0a80001 9c40 22b3 03')],
    ['a length that nobody needs', Buffer.concat([signature, Buffer.from('2111ffff', 'hex')])],
  ] as const) {
    assert.throws(() => decodeProxyHeader(bytes, maxBytes), { code: 'PROXY_HEADER_INVALID' }, what)
  }
})

for (const kind of ['tls', 'websocket'] as const) {
  test(`a client behind a proxy is known by its own address (${kind})`, async (t) => {
    const world = await makeWorld(t)
    const port = await listenToo(world, { kind, proxies: ['127.0.0.0/8'] })
    const path = await through(t, port, tcp6)
    if (kind === 'tls') {
      await (await speakTls(t, world, path)).connect('d1')
    } else {
      const createConnection = () => tlsConnect({ socket: path, servername: 'localhost', ca: world.ca, ...credentials })
      const credentials = await world.credentials('d1')
      const webSocket = await openWebSocket(t, world, port, { createConnection })
      webSocket.send(Buffer.from('101000044d5154540402003c000464312d30', 'hex').fill('d1~x', 14)) // CONNECT as d1~x
    }
    await until(() => world.records('session.connect').length === 1)
    assert.equal(world.records('session.connect')[0]?.peer, '[2001:db8::1]:40000')
  })
}

test('a header that comes byte by byte, with records that nobody knows, is read all the same', async (t) => {
  const world = await makeWorld(t)
  const port = await listenToo(world, { proxies: ['127.0.0.1'] })
  const socket = await through(t, port, Buffer.alloc(0))
  for (const byte of header(0x21, 0x11, '0a010203 c0a80001 9c40 22b3 ea0003 010203')) socket.write(Uint8Array.of(byte))
  await (await speakTls(t, world, socket)).connect('d1')
  assert.equal(world.records('session.connect')[0]?.peer, '10.1.2.3:40000')
})

test('what a proxy asks for itself comes from the proxy', async (t) => {
  const world = await makeWorld(t)
  const socket = await through(t, await listenToo(world, { proxies: ['127.0.0.1/32'] }), local)
  await (await speakTls(t, world, socket)).connect('d1')
  assert.match(world.records('session.connect')[0]?.peer ?? '', /^127\.0\.0\.1:/)
})

for (const [what, bytes] of [
  ['version 1', Buffer.from('PROXY TCP4 10.1.2.3 192.168.0.1 40000 8883\r\n')],
  ['TLS at once', Buffer.from('160301', 'hex')],
  ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['an endless header', Buffer.concat([signature, Buffer.from('2111ffff', 'hex')])],
] as const) {
  test(`${what} from a proxy closes the connection, on record`, async (t) => {
    const world = await makeWorld(t)
    const socket = await through(t, await listenToo(world, { proxies: ['127.0.0.1'] }), bytes)
    await gone(socket)
    const [refused] = world.records('session.refuse')
    assert.deepEqual([refused?.reason, refused?.peer], ['proxy_header', '127.0.0.1'])
  })
}

test('a proxy that does not end its header is given up in time', async (t) => {
  const world = await makeWorld(t)
  const socket = await through(t, await listenToo(world, { proxies: ['127.0.0.1'] }), tcp4.subarray(0, 20))
  socket.resume()
  await until(() => {
    world.clock += 1000 // whenever it was accepted
    return socket.closed
  })
  assert.equal(world.records('session.refuse')[0]?.reason, 'handshake_timeout')
})

test('from any other address the header is no more than a failed handshake', async (t) => {
  const world = await makeWorld(t)
  const socket = await through(t, await listenToo(world, { proxies: ['192.0.2.0/24', '2001:db8::/32'] }), tcp4)
  await gone(socket)
  await until(() => world.records('session.refuse').length === 1)
  const [refused] = world.records('session.refuse')
  assert.deepEqual([refused?.reason, refused?.peer], ['tls', '127.0.0.1'])
})

test('limits go by the client behind the proxy, not by the proxy', async (t) => {
  const limits: Partial<BrokerLimits> = { maxUnconnected: 3 }
  const world = await makeWorld(t, { limits })
  const port = await listenToo(world, { proxies: ['127.0.0.1'] })
  for (let nth = 0; nth < 3; nth++) (await through(t, port, tcp4)).on('error', () => undefined)
  world.clock += 2000
  const other = await through(t, port, tcp6)
  await (await speakTls(t, world, other)).connect('d1')
  await until(() => world.records('session.refuse').length === 1)
  assert.deepEqual(
    world.records('session.refuse').map(({ peer, reason }) => [peer, reason]),
    [['10.1.2.3', 'quota']],
  )
})

test('a network that is none stops the listener, not the first connection', async (t) => {
  const world = await makeWorld(t)
  for (const network of ['10.0.0.0/33', 'proxy.example', '::/129', '']) {
    await assert.rejects(
      listenToo(world, { proxies: [network] }),
      (error) => error instanceof BrokerError && error.code === 'LISTEN_FAILED',
    )
  }
})

function header(command: number, family: number, hex: string): Buffer {
  const rest = Buffer.from(hex.replaceAll(' ', ''), 'hex')
  return Buffer.concat([signature, Uint8Array.of(command, family, rest.length >> 8, rest.length & 0xff), rest])
}

/** A connection of a proxy that has sent these bytes. */
async function through(t: TestContext, port: number, bytes: Buffer): Promise<Socket> {
  const socket = tcpConnect({ host: '127.0.0.1', port })
  t.after(() => socket.destroy())
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  if (bytes.length > 0) await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
  return socket
}

async function speakTls(t: TestContext, world: World, path: Socket): Promise<RawClient> {
  const socket = tlsConnect({ socket: path, host: 'localhost', ca: world.ca, ...(await world.credentials('d1')) })
  t.after(() => socket.destroy())
  await once(socket, 'secureConnect')
  return new RawClient(socket)
}

async function gone(socket: Socket): Promise<void> {
  socket.resume()
  if (!socket.closed) await new Promise<void>((resolve) => socket.once('close', () => resolve()))
}
