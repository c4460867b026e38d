import { connect } from 'node:net'
import { Client } from '../load/client.js'
import { publishFrame } from '../load/frames.js'
import { commandFilter, commandTopic, controller, deviceName, type Fleet } from '../fleet.js'

/* What one greedy device does to be in everybody's way. Each goes on until its process is ended. */

export interface Target {
  readonly fleet: Fleet
  readonly port: number
}

export interface Attack {
  readonly name: string
  run(target: Target): Promise<void>
}

const greedy = deviceName(1)
const ownTopic = `fleet/site-7/${greedy}/flood`

export const attacks: readonly Attack[] = [
  { name: 'QoS 0 as fast as it can', run: (target) => flood(target, repeated(publish(0, 64), 500)) },
  { name: 'QoS 1 as fast as it can', run: (target) => flood(target, identified(500)) },
  { name: 'QoS 0 with 100 user properties each', run: (target) => flood(target, repeated(withProperties(100), 20), 5) },
  { name: 'CONNECT, a million user properties, again', run: (target) => again(target, withProperties(1000)) },
  { name: 'retained messages without end', run: (target) => flood(target, retained(500)) },
  { name: 'a topic of its own with each message', run: (target) => flood(target, topics(20_000)) },
  { name: '1,000 filters in one packet, again', run: (target) => flood(target, manyFilters(1000)) },
  { name: '10,000 filters in one packet', run: (target) => once(target, manyFilters(10_000)) },
  { name: 'CONNECT, 10,000 filters in one packet, again', run: (target) => again(target, manyFilters(10_000)) },
  {
    name: 'PINGREQ as fast as it can, answers unread',
    run: (target) => flood(target, repeated(ping, 10_000), 4, true),
  },
  { name: 'a subscriber that never reads', run: neverRead },
  { name: 'CONNECT and gone, eight at a time', run: comeAndGo },
  { name: '10,000 half-open connections', run: (target) => halfOpen(target, 10_000) },
  { name: '10,000 half-open, replaced when closed', run: (target) => halfOpen(target, 10_000, true) },
]

/** Writes the bytes whenever the socket takes them, and comes back when it is thrown out. */
async function flood({ fleet, port }: Target, bytes: Buffer, level: 4 | 5 = 4, deaf = false): Promise<void> {
  for (;;) {
    const client = await comeBack(fleet, port, level)
    const { socket } = client
    if (deaf) socket.pause()
    const write = (): void => {
      while (!socket.destroyed && socket.write(bytes));
    }
    socket.on('drain', write)
    write()
    await client.gone
  }
}

/** Says one thing that no limit allows. */
async function once({ fleet, port }: Target, bytes: Buffer): Promise<void> {
  const client = await comeBack(fleet, port, 5)
  client.socket.write(bytes)
  await client.gone
}

/** The same, and is back at once. */
async function again(target: Target, bytes: Buffer): Promise<void> {
  for (;;) await once(target, bytes)
}

async function neverRead({ fleet, port }: Target): Promise<void> {
  const speaker = await Client.connect(fleet, port, controller)
  const frame = publishFrame(commandTopic, { qos: 0, packetId: 0 }, Buffer.alloc(10_000))
  setInterval(() => speaker.socket.write(frame), 2)
  for (;;) {
    const client = await comeBack(fleet, port, 4)
    await client.subscribe(commandFilter, 0)
    client.socket.pause()
    await client.gone
  }
}

async function comeAndGo({ fleet, port }: Target): Promise<void> {
  const loop = async (): Promise<void> => {
    for (;;) {
      const client = await comeBack(fleet, port, 4)
      await client.vanish()
    }
  }
  await Promise.all(Array.from({ length: 8 }, loop))
}

/** Begins to shake hands and never ends. What is closed is left at that, or replaced a tenth of a second later. */
async function halfOpen({ port }: Target, count: number, replaced = false): Promise<void> {
  const open = (): void => {
    const socket = connect(port, '127.0.0.1', () => socket.write(beginningOfClientHello))
    socket.on('error', () => undefined)
    if (replaced) socket.on('close', () => setTimeout(open, 100))
  }
  for (let opened = 0; opened < count; opened += 100) {
    for (let more = 0; more < 100; more++) open()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Refused or thrown out, it tries until it is in. */
async function comeBack(fleet: Fleet, port: number, level: 4 | 5): Promise<Client> {
  for (;;) {
    try {
      const client = await Client.connect(fleet, port, greedy, { level })
      client.expectEnd()
      return client
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
}

const ping = Buffer.from([0xc0, 0])
const beginningOfClientHello = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1])

function publish(qos: 0 | 1, bytes: number, packetId = 1): Buffer {
  return publishFrame(ownTopic, { qos, packetId }, Buffer.alloc(bytes))
}

function repeated(frame: Buffer, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => frame))
}

function identified(count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, at) => publish(1, 64, at + 1)))
}

function retained(count: number): Buffer {
  const frame = (at: number) => publishFrame(`${ownTopic}/${at}`, { qos: 0, packetId: 0 }, Buffer.alloc(1000))
  return Buffer.concat(
    Array.from({ length: count }, (_, at) => {
      const bytes = frame(at)
      bytes[0] = 0x31
      return bytes
    }),
  )
}

function topics(count: number): Buffer {
  const frame = (at: number) => publishFrame(`${ownTopic}/${at}`, { qos: 0, packetId: 0 }, Buffer.alloc(10))
  return Buffer.concat(Array.from({ length: count }, (_, at) => frame(at)))
}

/** PUBLISH of MQTT 5 at QoS 0. */
function withProperties(count: number): Buffer {
  const property = Buffer.from([0x26, 0, 1, 0x61, 0, 1, 0x62])
  const properties = Buffer.concat(Array.from({ length: count }, () => property))
  const topic = Buffer.from(ownTopic)
  const head = Buffer.concat([Buffer.from([topic.length >> 8, topic.length & 255]), topic])
  return packet(0x30, Buffer.concat([head, variableInteger(properties.length), properties, Buffer.from('x')]))
}

/** SUBSCRIBE of MQTT 3.1.1 or 5, which differ in one byte; of the filters the first is granted. */
function manyFilters(count: number): Buffer {
  const filter = (at: number): Buffer => {
    const text = Buffer.from(at === 0 ? commandFilter : `fleet/site-7/${greedy}/${at}`)
    return Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), text, Buffer.from([0])])
  }
  const id = count > 1000 ? [0, 1, 0] : [0, 1] // the longer one is sent in MQTT 5
  return packet(0x82, Buffer.concat([Buffer.from(id), ...Array.from({ length: count }, (_, at) => filter(at))]))
}

function packet(header: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([header]), variableInteger(body.length), body])
}

function variableInteger(value: number): Buffer {
  const digits: number[] = []
  for (let left = value; digits.length === 0 || left > 0; left >>= 7) digits.push((left & 127) | (left > 127 ? 128 : 0))
  return Buffer.from(digits)
}
