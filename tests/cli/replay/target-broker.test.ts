import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import { generate, type Packet, parser } from 'mqtt-packet'
import { CliError } from '../../../cli/errors.js'
import { parseAddress } from '../../../cli/replay/target.js'
import { TargetBroker, type TargetBrokerOptions } from '../../../cli/replay/target-broker.js'

const message = { topic: 'a/b', payload: Buffer.from('warm'), qos: 1, retain: false } as const

test('a broker that speaks only MQTT 3.1.1 is spoken to in that, however it says so', async (t) => {
  for (const no of [Uint8Array.of(0x20, 2, 0, 1), Uint8Array.of(0x20, 3, 0, 0x84, 0)]) {
    const levels: (number | undefined)[] = []
    const world = await createWorld(t, (socket, packet) => {
      if (packet.cmd !== 'connect') return
      levels.push(packet.protocolVersion)
      if (packet.protocolVersion === 5) socket.end(no)
      else socket.write(generate({ cmd: 'connack', returnCode: 0, sessionPresent: false }))
    })
    assert.equal((await world.enter()).level, 4)
    assert.deepEqual(levels, [5, 4])
    await assert.rejects(world.enter({ level: 5 }), code('BROKER_REFUSED'))
  }
})

test('who is not let in is told why, by the codes of either version', async (t) => {
  const world = await createWorld(t, (socket) => {
    socket.end(Uint8Array.of(0x20, 3, 0, 0x8a, 0))
  })
  await assert.rejects(world.enter(), (error) => code('BROKER_REFUSED')(error) && /0x8a banned/.test(String(error)))
  const older = await createWorld(t, (socket) => {
    socket.end(Uint8Array.of(0x20, 2, 0, 5))
  })
  await assert.rejects(older.enter({ level: 4 }), code('BROKER_REFUSED'))
})

test('what the broker says that it does not take is refused here, because sending it would end the session', async (t) => {
  const sent: string[] = []
  const properties = { maximumQoS: 1, retainAvailable: false, maximumPacketSize: 100, receiveMaximum: 7 }
  const world = await createWorld(t, (socket, packet) => {
    if (packet.cmd === 'connect') greet(socket, properties)
    else sent.push(packet.cmd)
  })
  const broker = await world.enter()
  assert.equal(broker.mostInFlight, 7)
  const refused = async (change: object) => {
    const answer = await broker.publish({ ...message, ...change })
    return answer.is === 'refused' ? answer.code : undefined
  }
  assert.equal(await refused({ qos: 2 }), 0x9b)
  assert.equal(await refused({ retain: true }), 0x9a)
  assert.equal(await refused({ payload: Buffer.alloc(100) }), 0x95)
  await broker.end()
  assert.deepEqual(sent, ['disconnect'])
})

test('a refusal is told with its code and the broker’s own words', async (t) => {
  const world = await createWorld(t, (socket, packet) => {
    if (packet.cmd === 'connect') return greet(socket)
    const { messageId = 0 } = packet
    const properties = { reasonString: 'not here' }
    if (packet.cmd === 'publish') answer(socket, { cmd: 'puback', messageId, reasonCode: 0x97, properties })
    if (packet.cmd === 'subscribe') answer(socket, { cmd: 'suback', messageId, granted: [0x87], properties })
  })
  const broker = await world.enter()
  assert.deepEqual(await broker.publish(message), { is: 'refused', code: 0x97, text: '0x97 quota exceeded (not here)' })
  assert.deepEqual(await broker.subscribe('a/#', 1), {
    ...{ is: 'refused', code: 0x87, text: '0x87 not authorized (not here)' },
  })
})

test('a connection that ends takes along all that waits for an answer, and says why', async (t) => {
  for (const [end, why] of [
    [(socket: Socket) => socket.end(Uint8Array.of(0xe0, 1, 0x8e)), /0x8e session taken over/],
    [(socket: Socket) => socket.destroy(), /ended the connection/],
    [(socket: Socket) => socket.write(Buffer.alloc(64, 0xff)), /ended the connection/],
  ] as const) {
    const world = await createWorld(t, (socket, packet) => {
      if (packet.cmd === 'connect') greet(socket)
      if (world.received.length === 3) end(socket)
    })
    const lost: CliError[] = []
    const broker = await world.enter({ onLost: (error) => lost.push(error) })
    const waiting = [broker.publish(message), broker.publish(message)]
    for (const answer of waiting) {
      await assert.rejects(answer, (error) => code('CONNECTION_LOST')(error) && why.test(String(error)))
    }
    await assert.rejects(broker.publish(message), code('CONNECTION_LOST'))
    assert.equal(lost.length, 1)
    await broker.end()
  }
})

test('who leaves says so, waits for no answer, and was not left', async (t) => {
  const world = await createWorld(t, (socket, packet) => {
    if (packet.cmd === 'connect') greet(socket)
    if (packet.cmd === 'disconnect') socket.end()
  })
  const lost: CliError[] = []
  const broker = await world.enter({ onLost: (error) => lost.push(error) })
  const waiting = broker.publish(message)
  const told = assert.rejects(waiting, code('CONNECTION_LOST'))
  await broker.end()
  await told
  assert.deepEqual(world.received, ['connect', 'publish', 'disconnect'])
  assert.deepEqual(lost, [])
})

test('an attempt can be given up while the broker says nothing', async (t) => {
  const stop = new AbortController()
  const world = await createWorld(t, () => stop.abort(new CliError('INTERRUPTED', 'enough')))
  await assert.rejects(world.enter({ signal: stop.signal }), code('INTERRUPTED'))
})

function code(expected: string) {
  return (error: unknown): boolean => error instanceof CliError && error.code === expected
}

function greet(socket: Socket, properties = {}): void {
  socket.write(generate({ cmd: 'connack', reasonCode: 0, sessionPresent: false, properties }, { protocolVersion: 5 }))
}

function answer(socket: Socket, packet: Packet): void {
  socket.write(generate(packet, { protocolVersion: 5 }))
}

/** A broker that answers as the test says. */
async function createWorld(t: TestContext, onPacket: (socket: Socket, packet: Packet) => void) {
  const received: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const packets = parser()
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => packets.parse(chunk))
    packets.on('packet', (packet) => {
      received.push(packet.cmd)
      onPacket(socket, packet)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const address = parseAddress(`mqtt://127.0.0.1:${port}`)
  const open = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return socket
  }
  const enter = async (options: Partial<TargetBrokerOptions> = {}): Promise<TargetBroker> => {
    const silent = { signal: new AbortController().signal, onLost: () => undefined }
    const broker = await TargetBroker.connect({ address }, open, { clientId: 'pump-1', ...silent, ...options })
    t.after(() => broker.end())
    return broker
  }
  return { received, enter }
}
