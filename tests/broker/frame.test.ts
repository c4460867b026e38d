import assert from 'node:assert/strict'
import test from 'node:test'
import mqttPacket, { type Packet as OraclePacket } from 'mqtt-packet'
import { decodePacket } from '../../broker/decode.js'
import { BrokerError, type BrokerErrorCode } from '../../broker/errors.js'
import { FrameReader } from '../../broker/frame.js'
import type { Packet } from '../../broker/packet.js'
import { connectPacket, publishPacket, subscribePacket } from './harness.js'

function decodeAll(bytes: Uint8Array, chunk = bytes.length, maxBytes = 1 << 18): readonly Packet[] {
  const reader = new FrameReader(maxBytes)
  const packets: Packet[] = []
  for (let at = 0; at < bytes.length; at += chunk) {
    reader.push(Buffer.from(bytes.subarray(at, at + chunk)))
    for (let frame = reader.next(); frame; frame = reader.next()) packets.push(decodePacket(frame))
  }
  return packets
}

const oracle = (...packets: readonly OraclePacket[]) => Buffer.concat(packets.map((p) => mqttPacket.generate(p)))
const hello = connectPacket('d1')
const helloBytes = oracle(hello)

function refuses(name: string, bytes: Uint8Array, code: BrokerErrorCode): void {
  test(`refuses ${name}`, () => {
    assert.throws(() => decodeAll(bytes), { code })
  })
}

/** Bytes behind a valid CONNECT. */
const after = (...bytes: readonly number[]) => Buffer.concat([helloBytes, Uint8Array.from(bytes)])
const connectWith = (change: (bytes: Buffer) => void) => {
  const bytes = Buffer.from(helloBytes)
  change(bytes)
  return bytes
}

test('reads what mqtt-packet writes, whole or byte by byte', () => {
  const will = { topic: 'f/d1/state', payload: Buffer.from('gone'), qos: 1, retain: true } as const
  const stream = oracle(
    connectPacket('d1~é', { clean: false, keepalive: 65535, will, username: 'u', password: Buffer.from([0, 255]) }),
    publishPacket('a/b', 'x'.repeat(20_000), { qos: 1, messageId: 65535, retain: true, dup: true }),
    publishPacket('/', ''),
    { cmd: 'puback', messageId: 1 },
    subscribePacket(7, ['a/+/#', 1], ['$SYS/#', 2], ['a/+/#', 0]),
    { cmd: 'unsubscribe', messageId: 8, unsubscriptions: ['a', '__proto__'] },
    { cmd: 'pingreq' },
    { cmd: 'disconnect' },
  )
  const whole = decodeAll(stream)
  assert.deepEqual(decodeAll(stream, 1), whole)
  assert.deepEqual(
    whole.map(({ type }) => type),
    ['connect', 'publish', 'publish', 'puback', 'subscribe', 'unsubscribe', 'pingreq', 'disconnect'],
  )
  const [connect, publish, , , subscribe] = whole
  assert.ok(connect?.type === 'connect' && publish?.type === 'publish' && subscribe?.type === 'subscribe')
  assert.equal(connect.clientId, 'd1~é')
  assert.equal(connect.keepAliveSeconds, 65535)
  assert.deepEqual(connect.will, will)
  assert.deepEqual(connect.password, Buffer.from([0, 255]))
  assert.equal(publish.payload.length, 20_000)
  assert.equal(publish.packetId, 65535)
  assert.ok(publish.dup && publish.retain)
  assert.deepEqual(subscribe.requests, [
    { filter: 'a/+/#', qos: 1 },
    { filter: '$SYS/#', qos: 2 },
    { filter: 'a/+/#', qos: 0 },
  ])
})

test('refuses 256 MiB when they are announced, before one byte of them has come', () => {
  const reader = new FrameReader(1024)
  reader.push(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]))
  assert.throws(() => reader.next(), { code: 'PACKET_TOO_LARGE' })
})

test('takes a packet of exactly the limit and refuses one byte more', () => {
  assert.equal(decodeAll(helloBytes, 1, helloBytes.length).length, 1)
  assert.throws(() => decodeAll(helloBytes, 1, helloBytes.length - 1), { code: 'PACKET_TOO_LARGE' })
})

refuses('a remaining length of five bytes', Uint8Array.of(0x10, 0x80, 0x80, 0x80, 0x80, 0x01), 'MALFORMED_PACKET')
refuses('a remaining length with a needless byte', Uint8Array.of(0x10, 0x80, 0x00), 'MALFORMED_PACKET')
refuses('packet type 0', Uint8Array.of(0x00, 0x00), 'PROTOCOL_VIOLATION')
refuses('packet type 15', Uint8Array.of(0xf0, 0x00), 'PROTOCOL_VIOLATION')
refuses('PUBLISH before CONNECT', oracle(publishPacket('a', 'x')), 'PROTOCOL_VIOLATION')
refuses('a second CONNECT', oracle(hello, hello), 'PROTOCOL_VIOLATION')
refuses('CONNACK from a client', after(0x20, 2, 0, 0), 'PROTOCOL_VIOLATION')
refuses('PUBREL from a client', after(0x62, 2, 0, 1), 'PROTOCOL_VIOLATION')
refuses('reserved flags of PINGREQ', after(0xc1, 0), 'MALFORMED_PACKET')
refuses('SUBSCRIBE without its fixed flags', after(0x80, 6, 0, 1, 0, 1, 97, 0), 'MALFORMED_PACKET')
refuses('QoS 3', after(0x36, 5, 0, 1, 97, 0, 1), 'MALFORMED_PACKET')
refuses('DUP with QoS 0', after(0x38, 3, 0, 1, 97), 'MALFORMED_PACKET')
refuses('PUBLISH with packet identifier 0', after(0x32, 5, 0, 1, 97, 0, 0), 'MALFORMED_PACKET')
refuses('PUBACK with packet identifier 0', after(0x40, 2, 0, 0), 'MALFORMED_PACKET')
refuses('an empty topic', after(0x30, 2, 0, 0), 'INVALID_TOPIC')
refuses('a topic with a wildcard', after(0x30, 3, 0, 1, 35), 'INVALID_TOPIC')
refuses('a topic with a NUL', after(0x30, 3, 0, 1, 0), 'MALFORMED_PACKET')
refuses('overlong UTF-8 in a topic', after(0x30, 6, 0, 4, 0x61, 0xc0, 0xaf, 0x62), 'MALFORMED_PACKET')
refuses('a surrogate in a topic', after(0x30, 5, 0, 3, 0xed, 0xa0, 0x80), 'MALFORMED_PACKET')
refuses('a topic of over 128 levels', oracle(hello, publishPacket('/'.repeat(128), '')), 'INVALID_TOPIC')
refuses('a topic of over 1 KiB', oracle(hello, publishPacket('x'.repeat(1025), '')), 'INVALID_TOPIC')
refuses('SUBSCRIBE without a filter', after(0x82, 2, 0, 1), 'MALFORMED_PACKET')
refuses('UNSUBSCRIBE without a filter', after(0xa2, 2, 0, 1), 'MALFORMED_PACKET')
refuses('SUBSCRIBE with packet identifier 0', after(0x82, 6, 0, 0, 0, 1, 97, 0), 'MALFORMED_PACKET')
refuses('a requested QoS of 3', after(0x82, 6, 0, 1, 0, 1, 97, 3), 'MALFORMED_PACKET')
refuses('a field that reaches past its packet', after(0x30, 3, 0, 9, 97), 'MALFORMED_PACKET')
refuses('bytes behind PINGREQ', after(0xc0, 1, 0), 'MALFORMED_PACKET')
for (const filter of ['a+', '+a', 'a#', '#/a', 'a/#/b', '']) {
  const bytes = Buffer.from(filter)
  const body = [0, 1, 0, bytes.length, ...bytes, 0]
  refuses(`the filter ${JSON.stringify(filter)}`, after(0x82, body.length, ...body), 'INVALID_TOPIC')
}
refuses(
  'the reserved connect flag',
  connectWith((bytes) => (bytes[9] = 0x03)),
  'MALFORMED_PACKET',
)
refuses(
  'a password without a user name',
  connectWith((bytes) => (bytes[9] = 0x42)),
  'MALFORMED_PACKET',
)
refuses(
  'will retain without a will',
  connectWith((bytes) => (bytes[9] = 0x22)),
  'MALFORMED_PACKET',
)
refuses(
  'will QoS 3',
  connectWith((bytes) => (bytes[9] = 0x1e)),
  'MALFORMED_PACKET',
)
refuses(
  'a user name flag without a user name',
  connectWith((bytes) => (bytes[9] = 0x82)),
  'MALFORMED_PACKET',
)
refuses(
  'MQTT 5',
  connectWith((bytes) => (bytes[8] = 5)),
  'UNSUPPORTED_PROTOCOL',
)
refuses(
  'MQTT 3.1',
  connectWith((bytes) => (bytes[8] = 3)),
  'UNSUPPORTED_PROTOCOL',
)
refuses(
  'another protocol name',
  connectWith((bytes) => (bytes[4] = 0x58)),
  'MALFORMED_PACKET',
)

test('20,000 mutated streams end in packets or in our own coded error, never in a foreign one', () => {
  const random = seeded(20260301)
  const streams = [
    oracle(hello, publishPacket('a/b', 'payload', { qos: 1, messageId: 3 }), { cmd: 'pingreq' }),
    oracle(connectPacket('d1', { will: { topic: 't', payload: Buffer.from('w'), qos: 0, retain: false } })),
    oracle(hello, subscribePacket(1, ['a/+', 1], ['b/#', 0]), {
      cmd: 'unsubscribe',
      messageId: 2,
      unsubscriptions: ['a'],
    }),
  ]
  let refused = 0
  for (let round = 0; round < 20_000; round++) {
    const bytes = mutate(streams[round % streams.length] ?? helloBytes, random)
    try {
      decodeAll(bytes, 1 + (random() % bytes.length))
    } catch (error) {
      assert.ok(error instanceof BrokerError, `round ${round}: ${String(error)} for ${bytes.toString('hex')}`)
      refused++
    }
  }
  assert.ok(refused > 2_000 && refused < 20_000, `${refused} of the streams were refused`)
})

function mutate(bytes: Buffer, random: () => number): Buffer {
  const mutated = Buffer.from(bytes)
  for (let times = 1 + (random() % 3); times > 0; times--) mutated[random() % mutated.length] = random() & 0xff
  return random() % 4 === 0 ? mutated.subarray(0, 1 + (random() % mutated.length)) : mutated
}

/** A small linear congruential generator (Numerical Recipes): the same streams at every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8
}
