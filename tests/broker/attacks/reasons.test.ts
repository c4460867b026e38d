import assert from 'node:assert/strict'
import test from 'node:test'
import type { Packet } from 'mqtt-packet'
import { join, lasting, makeOpenWorld, subscribe } from '../conformance/peer.js'
import {
  device,
  makeWorld,
  policySource,
  publishPacket,
  type RawClient,
  subscribePacket,
  type World,
} from '../harness.js'

/* Why the service ends a connection of MQTT 5, and to whom it says more than a number (MQTT 5.0 §3.14.2.1, §3.1.2.11.7). */

const topic = (text: string) => Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text)])

const ends: readonly (readonly [
  sentence: string,
  reason: number,
  end: (world: World, client: RawClient) => unknown,
])[] = [
  ['its device is revoked', 0x98, ({ broker }) => void broker.endDevices([device('d1')], 'revoked')],
  ['an operator kicks it', 0x98, ({ broker }) => void broker.kick('d1', { forget: false })],
  ['another connection takes its place', 0x8e, (world) => join(world, 'd1', 5)],
  ['the service shuts down', 0x8b, ({ broker }) => broker.closeGracefully()],
  ['it says nothing for too long', 0x8d, (world) => void (world.clock += 100_000)],
  ['its certificate is over', 0xa0, (world) => void (world.clock += 2 * 24 * 3_600_000)],
  ['it sends bytes that are no packet', 0x81, (_, client) => client.write(Buffer.from([0x60, 0x02, 0x00, 0x01]))],
  ['it sends a second CONNECT', 0x82, (_, client) => client.send(connect)],
  ['it sends AUTH to change who it is', 0x82, (_, client) => client.write(reauthenticate)],
  ['it acknowledges in the wrong way', 0x82, acknowledgeWrongly],
  ['it uses a topic alias that it never gave a meaning', 0x94, (_, client) => client.write(unknownAlias)],
  [
    'it announces a packet over the limit',
    0x95,
    (_, client) => client.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f])),
  ],
  ['it asks for too many filters at once', 0x97, (_, client) => client.send(manyFilters)],
  ['it sends too many user properties', 0x97, (_, client) => client.send(manyProperties)],
]

const connect: Packet = {
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 5,
  clientId: 'd1',
  clean: true,
  keepalive: 60,
}
const reauthenticate = Buffer.from([0xf0, 0x06, 0x19, 0x04, 0x15, 0x00, 0x01, 0x78])
const unknownAlias = Buffer.from([0x30, 0x06, 0x00, 0x00, 0x03, 0x23, 0x00, 0x05])
const manyFilters = subscribePacket(1, ...Array.from({ length: 10_000 }, (_, at) => [`t/${at}`, 0] as const))
const manyProperties = publishPacket('t/x', 'x', {
  properties: { userProperties: { name: Array.from({ length: 101 }, () => 'value') } },
})

async function acknowledgeWrongly(_: World, client: RawClient): Promise<void> {
  await subscribe(client, ['t', 1])
  client.write(Buffer.concat([Buffer.from([0x32, 0x07]), topic('t'), Buffer.from([0, 7, 0, 0x78])]))
  const { messageId = 0 } = await client.next('publish')
  client.send({ cmd: 'pubcomp', messageId })
}

for (const [sentence, reason, end] of ends) {
  test(`a client is told why its connection ends: ${sentence}`, async (t) => {
    const world = await makeOpenWorld(t)
    const client = await join(world, 'd1', 5, lasting(5))
    await end(world, client)
    await client.closed
    const last = client.received.at(-1)
    assert.ok(last?.cmd === 'disconnect')
    assert.equal(last.reasonCode, reason)
  })
}

test('reasons are said in words to who was let in and asks for them, and to nobody else', async (t) => {
  const world = await makeWorld(t)
  for (const [requestProblemInformation, isTold] of [
    [true, true],
    [false, false],
  ] as const) {
    const client = await world.raw('d1', {}, 5)
    await client.connect('d1', { properties: { requestProblemInformation } })
    client.send(publishPacket('f/other/x', 'x', { qos: 1, messageId: 1 }), subscribePacket(2, ['f/other/#', 0]))
    const [puback, suback] = [await client.next('puback'), await client.next('suback')]
    assert.deepEqual([puback.reasonCode, suback.granted], [0x87, [0x87]])
    client.send(publishPacket('f/other/x', 'x')) // QoS 0 has no answer but the end
    const disconnect = await client.next('disconnect')
    assert.equal(disconnect.reasonCode, 0x87)
    for (const { properties } of [puback, suback, disconnect]) {
      assert.equal(properties?.reasonString !== undefined, isTold)
      if (isTold) assert.match(properties?.reasonString ?? '', /f\/other\//)
    }
    const wrong = await world.raw('d1', {}, 5)
    const refused = await wrong.connect('d2', { properties: { requestProblemInformation } })
    assert.equal(refused.reasonCode, 0x85)
    assert.equal(refused.properties?.reasonString !== undefined, isTold)
  }
  world.refused.set(device('d2'), 'revoked')
  const stranger = await world.raw('d2', {}, 5)
  const { reasonCode, properties } = await stranger.connect('d2')
  assert.deepEqual([reasonCode, properties?.reasonString], [0x87, undefined])
})

test('an answer that fits only without its words comes without them', async (t) => {
  const world = await makeWorld(t, { policy: policySource('onDenyPublish: drop') })
  const client = await world.raw('d1', {}, 5)
  await client.connect('d1', { properties: { maximumPacketSize: 30 } })
  client.send(publishPacket('f/other/x', 'x', { qos: 1, messageId: 1 }), subscribePacket(2, ['f/other/#', 0]))
  const [puback, suback] = [await client.next('puback'), await client.next('suback')]
  assert.deepEqual([puback.reasonCode, puback.properties?.reasonString], [0x87, undefined])
  assert.deepEqual([suback.granted, suback.properties?.reasonString], [[0x87], undefined])
})
