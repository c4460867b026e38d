import assert from 'node:assert/strict'
import test from 'node:test'
import { reasonCodes } from '../../../broker/wire/reason-codes.js'
import { makeWorld, publishPacket, subscribePacket } from '../harness.js'
import { bytes, connectOf, field, packetOf } from './wire.js'

/* Hostile bytes over a real socket: they end their own connection, leave nothing behind and disturb nobody. */

const topic = field('open/x')
const alias = (id: number) => [3, 0x23, 0, id]
const { malformedPacket, protocolError, topicNameInvalid, topicFilterInvalid } = reasonCodes

/** Behind an accepted CONNECT; the second is said in MQTT 5, where it is another packet for its properties. */
const hostile: readonly (readonly [what: string, in3: Buffer | undefined, in5: Buffer | undefined, reason: number])[] =
  [
    ['CONNECT again', connectOf(4, 2, field('d1')), connectOf(5, 2, 0, field('d1')), protocolError],
    ['CONNACK', packetOf(0x20, 0, 0), packetOf(0x20, 0, 0, 0), protocolError],
    [
      'one byte too much, announced',
      bytes(0x30, 0xfe, 0xff, 0x0f),
      bytes(0x30, 0xfe, 0xff, 0x0f),
      reasonCodes.packetTooLarge,
    ],
    [
      '256 MiB, announced',
      bytes(0x30, 0xff, 0xff, 0xff, 0x7f),
      bytes(0x30, 0xff, 0xff, 0xff, 0x7f),
      reasonCodes.packetTooLarge,
    ],
    [
      'overlong UTF-8',
      packetOf(0x30, field([0x61, 0xc0, 0xaf, 0x62])),
      packetOf(0x30, field([0x61, 0xc0, 0xaf]), 0),
      malformedPacket,
    ],
    [
      'a surrogate',
      packetOf(0x30, field([0xed, 0xa0, 0x80])),
      packetOf(0x30, field([0xed, 0xa0, 0x80]), 0),
      malformedPacket,
    ],
    ['a NUL', packetOf(0x30, field('open/\0')), packetOf(0x30, field('open/\0'), 0), malformedPacket],
    ['a wildcard to publish to', packetOf(0x30, field('open/#')), packetOf(0x30, field('open/+'), 0), topicNameInvalid],
    ['an empty topic', packetOf(0x30, field('')), packetOf(0x30, field(''), 0), protocolError],
    ['130 levels', packetOf(0x30, field('/'.repeat(129))), packetOf(0x30, field('/'.repeat(129)), 0), topicNameInvalid],
    ['DUP with QoS 0', packetOf(0x38, topic), packetOf(0x38, topic, 0), malformedPacket],
    ['QoS 3', packetOf(0x36, topic, 0, 1), packetOf(0x36, topic, 0, 1, 0), malformedPacket],
    ['packet identifier 0', packetOf(0x32, topic, 0, 0), packetOf(0x32, topic, 0, 0, 0), malformedPacket],
    ['no filter to subscribe', packetOf(0x82, 0, 1), packetOf(0x82, 0, 1, 0), protocolError],
    ['no filter to unsubscribe', packetOf(0xa2, 0, 1), packetOf(0xa2, 0, 1, 0), protocolError],
    ...['a+', '+a', 'open/a#', '#/a', 'a/#/b', '', '/'.repeat(129)].map((filter) => {
      const name = `the filter ${JSON.stringify(filter.slice(0, 9))}`
      const good = bytes(field('open/ok'), 1)
      const bad = bytes(field(filter), 1)
      return [name, packetOf(0x82, 0, 1, good, bad), packetOf(0x82, 0, 1, 0, good, bad), topicFilterInvalid] as const
    }),
    ['AUTH without a method', packetOf(0xf0), packetOf(0xf0), protocolError],
    ['topic alias 0', undefined, packetOf(0x30, topic, alias(0)), reasonCodes.topicAliasInvalid],
    ['a response topic with a wildcard', undefined, packetOf(0x30, topic, 6, 8, field('a/#')), protocolError],
    ['its own subscription identifier', undefined, packetOf(0x30, topic, 2, 0x0b, 1), protocolError],
    ['subscription identifier 0', undefined, packetOf(0x82, 0, 1, 2, 0x0b, 0, topic, 0), protocolError],
    ['two subscription identifiers', undefined, packetOf(0x82, 0, 1, 4, 0x0b, 1, 0x0b, 1, topic, 0), protocolError],
    ['no local on a shared filter', undefined, packetOf(0x82, 0, 1, 0, field('$share/g/open/x'), 4), protocolError],
    ['properties of another packet', undefined, packetOf(0x30, topic, 3, 0x21, 0, 1), malformedPacket],
    [
      '101 user properties',
      undefined,
      packetOf(0x30, topic, 0xf9, 0x03, ...new Array<Buffer>(101).fill(bytes(0x26, 0, 0, 0, 0))),
      reasonCodes.quotaExceeded,
    ],
    [
      '10,000 filters in one packet',
      packetOf(0x82, 0, 1, ...Array.from({ length: 10_000 }, (_, at) => bytes(field(`open/${at}`), 0))),
      packetOf(0x82, 0, 1, 0, ...Array.from({ length: 10_000 }, (_, at) => bytes(field(`open/${at}`), 0))),
      reasonCodes.quotaExceeded,
    ],
  ]

for (const level of [4, 5] as const) {
  test(`hostile packets end their connection, told why in MQTT 5 only, and leave nothing behind: level ${level}`, async (t) => {
    const world = await makeWorld(t)
    const bystander = await world.raw('d2')
    await bystander.connect('d2')
    bystander.send(subscribePacket(1, ['open/#', 1]))
    await bystander.next('suback')
    for (const [what, in3, in5, reason] of hostile) {
      const packet = level === 4 ? in3 : in5
      if (!packet) continue
      const client = await world.raw('d1', {}, level)
      await client.connect('d1', { clean: false, ...(level === 5 && { properties: { sessionExpiryInterval: 3600 } }) })
      client.write(packet)
      await client.closed
      const said = client.received.filter(({ cmd }) => cmd !== 'connack')
      if (level === 4) assert.deepEqual(said, [], what)
      else
        assert.deepEqual(
          said.map((packet) => packet.cmd === 'disconnect' && packet.reasonCode),
          [reason],
          what,
        )
    }
    const sessions = world.broker.sessions().filter(({ clientId }) => clientId === 'd1')
    assert.deepEqual(
      sessions.map(({ subscriptions }) => subscriptions),
      [[]],
    )
    await bystander.ping()
    assert.deepEqual(bystander.all('publish'), [])
  })
}

test('hostile first packets get no more than the answer that MQTT has for them', async (t) => {
  const world = await makeWorld(t)
  const answersTo = async (packet: Uint8Array) => {
    const client = await world.raw('d1')
    client.write(packet)
    await client.closed
    return client.received.map((packet) => (packet.cmd === 'connack' ? packet.returnCode : packet.cmd))
  }
  assert.deepEqual(await answersTo(bytes(0x10, 0xff, 0xff, 0xff, 0x7f)), [], '256 MiB')
  assert.deepEqual(await answersTo(packetOf(0x30, topic)), [], 'PUBLISH')
  assert.deepEqual(await answersTo(packetOf(0xf0)), [], 'AUTH')
  assert.deepEqual(await answersTo(packetOf(0x20, 0, 0)), [], 'CONNACK')
  assert.deepEqual(await answersTo(connectOf(4, 0x1e, field('d1'), field('open/w'), field('x'))), [], 'will QoS 3')
  assert.deepEqual(await answersTo(connectOf(4, 0x42, field('d1'), field('p'))), [], 'a password alone')
  assert.deepEqual(await answersTo(connectOf(4, 0x82, field('d1'))), [], 'a user name flag alone')
  assert.deepEqual(
    await answersTo(connectOf(4, 0x06, field('d1'), field('open/#'), field('x'))),
    [],
    'a will to a wildcard',
  )
  assert.deepEqual(await answersTo(connectOf(4, 0x00, field(''))), [2], 'no client id, and to be remembered')
  assert.deepEqual(await answersTo(connectOf(3, 0x02, field('d1'))), [1], 'MQTT level 3')
  assert.deepEqual(await answersTo(connectOf(99, 0x02, field('d1'))), [1], 'MQTT level 99')
  assert.deepEqual(world.broker.sessions(), [])
})

test('the names of JavaScript’s own properties are topics like any other', async (t) => {
  const world = await makeWorld(t)
  const client = await world.raw('d1', {}, 5)
  await client.connect('d1')
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'].map((name) => `open/${name}`)
  client.send(subscribePacket(1, ...names.map((name) => [name, 1] as const)))
  assert.deepEqual((await client.next('suback')).granted, [1, 1, 1, 1])
  client.send(...names.map((name, at) => publishPacket(name, name, { qos: 1, messageId: at + 1 })))
  await client.next('publish', names.length)
  assert.deepEqual(
    client.all('publish').map(({ payload }) => payload.toString()),
    names,
  )
})
