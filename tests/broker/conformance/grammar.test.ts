import assert from 'node:assert/strict'
import test from 'node:test'
import type { World } from '../harness.js'
import { bytes, connectOf, field, packetOf } from '../wire/wire.js'
import { atBothLevels, cut, heard, join, type Level, makeOpenWorld, publishAll, subscribe } from './peer.js'

/* What may be sent at all: strings, flags, identifiers, topics. Whatever may not ends the connection. */

/** No properties, where the version has them. */
const none = (level: Level) => (level === 5 ? [0] : [])

const surrogate = [0x61, 0xed, 0xa0, 0x80]
const cutShort = [0x61, 0xc3]

/** Sends each of the packets on a connection of its own and waits for the service to close it. */
async function closesOn(world: World, level: Level, packets: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [what, packet] of Object.entries(packets)) {
    const isConnect = packet[0] === 0x10 || packet[0] === 0x11
    const client = isConnect ? await world.raw('d1', {}, level) : await join(world, 'd1', level)
    client.write(packet)
    await client.closed
    assert.ok(isConnect || level === 4 || client.all('disconnect').length === 1, what)
    assert.equal(client.all('puback').length + client.all('suback').length + client.all('unsuback').length, 0, what)
  }
}

function stringPlaces(level: Level, bad: readonly number[]): Readonly<Record<string, Uint8Array>> {
  return {
    'client id': connectOf(level, 2, none(level), field(bad)),
    'will topic': connectOf(level, 6, none(level), field('d1'), none(level), field(bad), field('x')),
    'user name': connectOf(level, 0x82, none(level), field('d1'), field(bad)),
    'topic name': packetOf(0x32, field(bad), 0, 1, none(level)),
    subscribe: packetOf(0x82, 0, 1, none(level), field(bad), 0),
    unsubscribe: packetOf(0xa2, 0, 1, none(level), field(bad)),
  }
}

function propertyPlaces(bad: readonly number[]): Readonly<Record<string, Uint8Array>> {
  const place = (...property: readonly (number | Uint8Array)[]) => {
    const properties = bytes(...property)
    return packetOf(0x32, field('t'), 0, 1, properties.length, properties)
  }
  return {
    'content type': place(0x03, field(bad)),
    'response topic': place(0x08, field(bad)),
    'user property name': place(0x26, field(bad), field('x')),
    'user property value': place(0x26, field('x'), field(bad)),
  }
}

atBothLevels('a string that is no UTF-8 ends the connection, wherever it stands', async (t, level) => {
  const world = await makeOpenWorld(t)
  await closesOn(world, level, stringPlaces(level, surrogate))
  await closesOn(world, level, stringPlaces(level, cutShort))
})

atBothLevels('a string with a NUL ends the connection, wherever it stands', async (t, level) => {
  const world = await makeOpenWorld(t)
  await closesOn(world, level, stringPlaces(level, [0x61, 0, 0x62]))
})

test('a string property that is no UTF-8, or has a NUL, ends the connection', async (t) => {
  const world = await makeOpenWorld(t)
  await closesOn(world, 5, propertyPlaces(surrogate))
  await closesOn(world, 5, propertyPlaces([0x61, 0, 0x62]))
})

test('a variable byte integer of needless length ends the connection', async (t) => {
  const world = await makeOpenWorld(t)
  await closesOn(world, 5, { 'property length': packetOf(0x32, field('t'), 0, 1, 0x80, 0x00) })
})

atBothLevels('U+FEFF is a character of the topic, and no name is normalised', async (t, level) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', level)
  await subscribe(client, ['t/e\u0301', 1], ['\ufeffu', 1], ['v//w', 1])
  await publishAll(client, ['t/\u00e9', 'composed'], ['t/e\u0301', 'same'], ['u', 'without'], ['\ufeffu', 'with'])
  await publishAll(client, ['v/w', 'one'], ['v//w', 'two'])
  await client.ping()
  assert.deepEqual(heard(client), ['same', 'with', 'two'])
})

atBothLevels('flags that a packet does not have end the connection', async (t, level) => {
  const world = await makeOpenWorld(t)
  await closesOn(world, level, {
    CONNECT: Uint8Array.from([0x11, ...connectOf(level, 2, none(level), field('d1')).subarray(1)]),
    PUBACK: packetOf(0x41, 0, 1),
    PUBREC: packetOf(0x51, 0, 1),
    PUBREL: packetOf(0x60, 0, 1),
    PUBCOMP: packetOf(0x71, 0, 1),
    SUBSCRIBE: packetOf(0x80, 0, 1, none(level), field('t'), 0),
    UNSUBSCRIBE: packetOf(0xa0, 0, 1, none(level), field('t')),
    PINGREQ: packetOf(0xc1),
    DISCONNECT: packetOf(0xe1),
    'QoS 3': packetOf(0x36, field('t'), 0, 1, none(level)),
    'QoS 0 with DUP': packetOf(0x38, field('t'), none(level)),
  })
})

test('AUTH with flags ends the connection', async (t) => {
  const world = await makeOpenWorld(t)
  await closesOn(world, 5, { AUTH: packetOf(0xf1, 0x18, 4, 0x15, field('x')) })
})

atBothLevels('a packet identifier of 0 ends the connection', async (t, level) => {
  const world = await makeOpenWorld(t)
  await closesOn(world, level, {
    PUBLISH: packetOf(0x32, field('t'), 0, 0, none(level)),
    SUBSCRIBE: packetOf(0x82, 0, 0, none(level), field('t'), 0),
    UNSUBSCRIBE: packetOf(0xa2, 0, 0, none(level), field('t')),
  })
})

atBothLevels('a request without a filter, or with reserved bits, ends the connection', async (t, level) => {
  const world = await makeOpenWorld(t)
  await closesOn(world, level, {
    SUBSCRIBE: packetOf(0x82, 0, 1, none(level)),
    UNSUBSCRIBE: packetOf(0xa2, 0, 1, none(level)),
    'reserved bits': packetOf(0x82, 0, 1, none(level), field('t'), 0xc0),
    'QoS 3': packetOf(0x82, 0, 1, none(level), field('t'), 3),
  })
})

atBothLevels('a topic name with a wildcard, of no length or over its limits ends the connection', async (t, level) => {
  const world = await makeOpenWorld(t)
  const names = { hash: 't/#', plus: '+/t', inside: 't+', empty: '', long: 'x'.repeat(65_535) }
  const packets = Object.entries(names).map(([what, name]) => [what, packetOf(0x32, field(name), 0, 1, none(level))])
  await closesOn(world, level, Object.fromEntries(packets))
})

atBothLevels(
  'a filter with a misplaced wildcard, of no length or over its limits is never granted',
  async (t, level) => {
    const world = await makeOpenWorld(t)
    for (const filter of ['t#', 't/#/u', '#/t', 't+', '+t/u', '', 'x'.repeat(65_535)]) {
      const client = await join(world, 'd1', level)
      client.write(packetOf(0x82, 0, 1, none(level), field(filter), 0))
      await client.closed
      assert.equal(client.all('suback').length, 0)
    }
  },
)

atBothLevels('what ends a connection ends only that one, and nothing behind it is looked at', async (t, level) => {
  const world = await makeOpenWorld(t)
  const listener = await join(world, 'd2', level)
  await subscribe(listener, ['t', 1])
  const client = await join(world, 'd1', level)
  client.write(Buffer.concat([packetOf(0x60, 0, 1), packetOf(0x32, field('t'), 0, 1, none(level), 120)]))
  await client.closed
  await listener.ping()
  assert.deepEqual(heard(listener), [])
})

test('a malformed packet is answered with DISCONNECT and its reason, and then the connection is closed', async (t) => {
  const world = await makeOpenWorld(t)
  for (const [packet, reason] of [
    [packetOf(0x60, 0, 1), 0x81],
    [packetOf(0xf1, 0x18, 4, 0x15, field('x')), 0x81],
    [packetOf(0x82, 0, 1, 0), 0x82],
    [packetOf(0x32, field('t/#'), 0, 1, 0), 0x90],
    [packetOf(0x82, 0, 1, 0, field('t#'), 0), 0x8f],
    [packetOf(0x32, field('t'), 0, 1, 3, 0x23, 0, 0), 0x94],
  ] as const) {
    const client = await join(world, 'd1', 5)
    client.write(packet)
    await client.closed
    assert.deepEqual(
      client.received.slice(1).map((received) => received.cmd === 'disconnect' && received.reasonCode),
      [reason],
    )
  }
})

atBothLevels('PINGREQ is answered with PINGRESP', async (t, level) => {
  const world = await makeOpenWorld(t)
  const client = await join(world, 'd1', level)
  await client.ping()
  await client.ping()
  await cut(world, client)
  assert.equal(client.all('pingresp').length, 2)
})
