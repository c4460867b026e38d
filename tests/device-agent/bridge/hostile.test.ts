import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import mqttPacket, { type ISubackPacket, type Packet } from 'mqtt-packet'
import { Bridge } from '../../../device-agent/bridge/bridge.js'
import type { BridgeLimits } from '../../../device-agent/bridge/limits.js'
import { seeded } from '../../seeded.js'
import { temporaryFolder } from '../temporary-folder.js'

/* One program means ill; the agent lives on, and so do the others. */

test('5,000 pipelined messages to a filter of one’s own, then a socket that drops, stop nobody else', async (t) => {
  const world = await openWorld(t)
  const one = await world.program('one')
  one.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '~/t', qos: 0 }] })
  await one.answer('suback')
  one.send(...Array.from({ length: 5000 }, () => publish('~/t', 0)))
  await new Promise((resolve) => setImmediate(resolve))
  one.socket.destroy()
  await world.requireAlive()
})

test('a packet that announces more than the service takes ends its connection before it has come', async (t) => {
  const world = await openWorld(t)
  const one = await world.program('one')
  one.socket.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x01]))
  await one.closed
  const two = await world.program('two')
  two.socket.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0xff]))
  await two.closed
  await world.requireAlive()
})

for (const [what, packet] of [
  ['a topic of 64 KiB', publish('x'.repeat(65_535), 1)],
  ['a topic of 100 levels more than there may be', publish('/'.repeat(300), 1)],
  ['a topic of the service’s own', publish('$SYS/uptime', 1)],
  ['the status of the bridge', publish('$touchmark/status', 1)],
  ['a wildcard', publish('devices/+/cmd', 1)],
] as const) {
  test(`publishing to ${what} ends the connection, and nothing is kept of it`, async (t) => {
    const world = await openWorld(t)
    const one = await world.program('one')
    one.send(packet)
    await one.closed
    assert.equal(await world.queued(), 0)
  })
}

test('filters have a bound, a program has as many as it may, and a wrong one is refused', async (t) => {
  const world = await openWorld(t, { maxFiltersPerProgram: 3, maxFilters: 4 })
  const one = await world.program('one')
  const ask = (...topics: readonly string[]): void =>
    one.send({ cmd: 'subscribe', messageId: 7, subscriptions: topics.map((topic) => ({ topic, qos: 2 })) })
  ask('a', '#', '+/+/+', 'one/too/many')
  assert.deepEqual((await one.answer<ISubackPacket>('suback')).granted, [2, 2, 2, 128])
  const two = await world.program('two')
  two.send({
    cmd: 'subscribe',
    messageId: 7,
    subscriptions: ['#', 'b', 'c', '$SYS/#'].map((topic) => ({ topic, qos: 1 })),
  })
  assert.deepEqual((await two.answer<ISubackPacket>('suback')).granted, [1, 1, 128, 128])
  one.socket.destroy()
  await one.closed
  await world.requireAlive()
})

test('who never reads loses its connection, and the others hear everything', async (t) => {
  const world = await openWorld(t, { maxUnreadBytes: 256 * 1024 })
  const deaf = await world.program('deaf')
  const other = await world.program('other')
  for (const program of [deaf, other]) {
    program.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 1 }] })
    await program.answer('suback')
  }
  deaf.socket.pause()
  const payload = Buffer.alloc(16 * 1024)
  for (let n = 0; n < 500; n++) {
    world.bridge.heard('devices/d1/cmd/x', payload, publish('devices/d1/cmd/x', 1))
    await other.count('publish', n + 1)
  }
  deaf.socket.resume()
  await deaf.closed
})

test('more programs than there may be are turned away, and there is room again when one leaves', async (t) => {
  const world = await openWorld(t, { maxPrograms: 2 })
  const one = await world.program('one')
  await world.program('two')
  const third = connect(world.path)
  third.on('error', () => undefined)
  await once(third, 'close')
  one.socket.destroy()
  await one.closed
  await world.requireAlive()
})

test('nothing that can be sent ends the agent', async (t) => {
  const world = await openWorld(t)
  const random = seeded(31)
  const hello = connectPacket('fuzz')
  const good: readonly Packet[] = [
    hello,
    publish('~/t', 1),
    publish('~/t', 2),
    { cmd: 'subscribe', messageId: 3, subscriptions: [{ topic: '~/#', qos: 1 }] },
    { cmd: 'unsubscribe', messageId: 4, unsubscriptions: ['~/#'] },
    { cmd: 'pubrel', messageId: 9 },
    { cmd: 'pingreq' },
    { cmd: 'disconnect' },
  ]
  for (let round = 0; round < 300; round++) {
    const packets = Array.from({ length: 1 + random(8) }, () => generate(good[random(good.length)] ?? hello))
    const bytes = Buffer.concat([generate(hello), ...packets])
    for (let flips = random(4); flips > 0; flips--) bytes[random(bytes.length)] = random(256)
    const socket = connect(world.path)
    socket.on('error', () => undefined).resume()
    socket.end(bytes.subarray(0, 1 + random(bytes.length)))
    await once(socket, 'close')
  }
  await world.requireAlive()
})

test('a socket that another agent listens at is left alone, and so is a file; what a killed one left is replaced', async (t) => {
  const { path, requireAlive } = await openWorld(t)
  const folder = temporaryFolder(t)
  const open = (at: string): Promise<Bridge> =>
    Bridge.open({
      ...{ address: { kind: 'unix', path: at }, rights: { mode: 0o600 }, deviceId: 'd2', folder },
      ...{ now: () => 0, random: () => 0, log: () => undefined },
    })
  await assert.rejects(open(path), { code: 'BRIDGE_FAILED' })
  await requireAlive()
  const file = join(folder, 'file')
  writeFileSync(file, 'somebody’s')
  await assert.rejects(open(file), { code: 'BRIDGE_FAILED' })
  assert.equal(readFileSync(file, 'utf8'), 'somebody’s')
  await assert.rejects(open(join(folder, 'no', 'folder')), { code: 'BRIDGE_FAILED' })

  const left = join(folder, 'left')
  const listens = "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))"
  await once(spawn(process.execPath, ['-e', listens, left]), 'exit')
  assert.ok(statSync(left).isSocket())
  await (await open(left)).close()
  assert.ok(!existsSync(left))
})

async function openWorld(t: TestContext, limits: Partial<BridgeLimits> = {}) {
  const folder = temporaryFolder(t)
  const path = join(folder, 'mqtt.sock')
  const bridge = await Bridge.open({
    ...{ address: { kind: 'unix', path }, rights: { mode: 0o600 }, deviceId: 'd1', folder: join(folder, 'bridge') },
    ...{ now: () => 0, random: () => 0, log: () => undefined, limits: { maxQueuedBytes: 1024 * 1024, ...limits } },
  })
  const sockets: Socket[] = []
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    await bridge.close()
  })
  const program = async (clientId: string) => {
    const socket = connect(path)
    sockets.push(socket)
    const opened = new LocalProgram(socket)
    opened.send(connectPacket(clientId))
    await opened.answer('connack')
    return opened
  }
  const queued = async (): Promise<number> => {
    const asking = await program('asking')
    asking.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$touchmark/status', qos: 0 }] })
    const { payload } = await asking.answer<Packet & { payload: Buffer }>('publish')
    asking.socket.destroy()
    await asking.closed
    return (JSON.parse(payload.toString()) as { queued: { messages: number } }).queued.messages
  }
  const requireAlive = async (): Promise<void> => {
    const well = await program('well')
    well.send(publish('~/telemetry/t', 1))
    await well.answer('puback')
    well.socket.destroy()
    await well.closed
  }
  return { bridge, path, program, queued, requireAlive }
}

class LocalProgram {
  readonly socket: Socket
  readonly closed: Promise<unknown>
  readonly #received: Packet[] = []
  #wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.socket = socket
    const parser = mqttPacket.parser()
    parser.on('packet', (packet) => {
      this.#received.push(packet)
      this.#wake()
    })
    socket.on('data', (chunk) => parser.parse(chunk)).on('error', () => undefined)
    this.closed = once(socket, 'close').then(() => this.#wake())
  }

  send(...packets: readonly Packet[]): void {
    this.socket.write(Buffer.concat(packets.map(generate)))
  }

  async answer<P extends Packet>(cmd: P['cmd']): Promise<P> {
    await this.count(cmd, 1)
    return this.#received.find((packet): packet is P => packet.cmd === cmd) ?? assert.fail(`no ${cmd}`)
  }

  async count(cmd: Packet['cmd'], count: number): Promise<void> {
    while (this.#received.filter((packet) => packet.cmd === cmd).length < count && !this.socket.destroyed) {
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}

function connectPacket(clientId: string): Packet {
  return { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clientId, clean: true, keepalive: 60 }
}

function publish(topic: string, qos: 0 | 1 | 2) {
  return { cmd: 'publish', topic, payload: 'x', qos, dup: false, retain: false, messageId: 9 } as const
}

function generate(packet: Packet): Buffer {
  return mqttPacket.generate(packet)
}
