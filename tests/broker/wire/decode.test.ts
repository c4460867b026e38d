import assert from 'node:assert/strict'
import test from 'node:test'
import type { WireErrorCode } from '../../../broker/errors.js'
import { decodePacket } from '../../../broker/wire/decode.js'
import { packetTypes, type ProtocolLevel } from '../../../broker/wire/packet.js'
import { bytes, connectOf, decodeStream, field, hello, packetOf } from './wire.js'

/** Bytes of one packet behind a valid CONNECT of that level. */
function refuses(what: string, level: ProtocolLevel, packet: Uint8Array, code: WireErrorCode): void {
  test(`refuses ${what}, level ${level}`, () => {
    assert.throws(() => decodeStream(Buffer.concat([hello(level), packet])), { code })
  })
}

function refusesBoth(what: string, body: (level: ProtocolLevel) => Uint8Array, code: WireErrorCode): void {
  refuses(what, 4, body(4), code)
  refuses(what, 5, body(5), code)
}

function refusesConnect(what: string, packet: Uint8Array, code: WireErrorCode): void {
  test(`refuses CONNECT with ${what}`, () => {
    assert.throws(() => decodeStream(packet), { code })
  })
}

/** No properties, where the level has them. */
const none = (level: ProtocolLevel) => (level === 5 ? [0] : [])
const topic = field('a')

refusesBoth('PUBREL without its fixed flags', () => packetOf(0x60, 0, 1), 'MALFORMED_PACKET')
refusesBoth('QoS 3', (level) => packetOf(0x36, topic, 0, 1, none(level)), 'MALFORMED_PACKET')
refusesBoth('DUP with QoS 0', (level) => packetOf(0x38, topic, none(level)), 'MALFORMED_PACKET')
refusesBoth('PUBLISH with packet identifier 0', (level) => packetOf(0x32, topic, 0, 0, none(level)), 'MALFORMED_PACKET')
for (const [type, name] of [
  [0x40, 'PUBACK'],
  [0x50, 'PUBREC'],
  [0x62, 'PUBREL'],
  [0x70, 'PUBCOMP'],
] as const) {
  refusesBoth(`${name} with packet identifier 0`, () => packetOf(type, 0, 0), 'MALFORMED_PACKET')
  refusesBoth(`${name} without a packet identifier`, () => packetOf(type), 'MALFORMED_PACKET')
  refuses(`${name} with a reason code`, 4, packetOf(type, 0, 1, 0), 'MALFORMED_PACKET')
  refuses(`${name} with a reason code of another packet`, 5, packetOf(type, 0, 1, 0x8b), 'PROTOCOL_VIOLATION')
  refuses(`${name} with a subscription identifier`, 5, packetOf(type, 0, 1, 0, 2, 0x0b, 1), 'MALFORMED_PACKET')
  refuses(`${name} with bytes behind its properties`, 5, packetOf(type, 0, 1, 0, 0, 0), 'MALFORMED_PACKET')
}
refuses('PUBACK that says what only a server can', 5, packetOf(0x40, 0, 1, 0x10), 'PROTOCOL_VIOLATION')
refuses('an empty topic', 4, packetOf(0x30, field('')), 'INVALID_TOPIC')
refuses('an empty topic without an alias', 5, packetOf(0x30, field(''), 0), 'PROTOCOL_VIOLATION')
for (const name of ['#', '+', 'a/#', 'a/+/b', 'a+']) {
  refusesBoth(`the topic name ${name}`, (level) => packetOf(0x30, field(name), none(level)), 'INVALID_TOPIC')
}
refusesBoth('a topic with a NUL', (level) => packetOf(0x30, field('a\0b'), none(level)), 'MALFORMED_PACKET')
refusesBoth('a non-ASCII topic with a NUL', (level) => packetOf(0x30, field('é\0b'), none(level)), 'MALFORMED_PACKET')
for (const [name, bad] of [
  ['overlong UTF-8', [0x61, 0xc0, 0xaf, 0x62]],
  ['a surrogate', [0xed, 0xa0, 0x80]],
  ['a cut character', [0x61, 0xe2, 0x82]],
  ['a character above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
] as const) {
  refusesBoth(`${name} in a topic`, (level) => packetOf(0x30, field(bad), none(level)), 'MALFORMED_PACKET')
  refusesBoth(`${name} in a filter`, (level) => packetOf(0x82, 0, 1, none(level), field(bad), 0), 'MALFORMED_PACKET')
}
refusesBoth(
  'a topic of over 128 levels',
  (level) => packetOf(0x30, field('/'.repeat(128)), none(level)),
  'INVALID_TOPIC',
)
refusesBoth('a topic of over 1 KiB', (level) => packetOf(0x30, field('x'.repeat(1025)), none(level)), 'INVALID_TOPIC')
refusesBoth('a field that reaches past its packet', () => packetOf(0x30, 0, 9, 97), 'MALFORMED_PACKET')

refuses('topic alias 0', 5, packetOf(0x30, topic, 3, 0x23, 0, 0), 'TOPIC_ALIAS_INVALID')
refuses('a topic alias twice', 5, packetOf(0x30, topic, 6, 0x23, 0, 1, 0x23, 0, 1), 'PROTOCOL_VIOLATION')
refuses('a subscription identifier from a client', 5, packetOf(0x30, topic, 2, 0x0b, 1), 'PROTOCOL_VIOLATION')
refuses('a payload format of 2', 5, packetOf(0x30, topic, 2, 0x01, 2), 'PROTOCOL_VIOLATION')
for (const [name, response] of [
  ['a wildcard', 'a/#'],
  ['nothing', ''],
  ['1,025 bytes', 'x'.repeat(1025)],
] as const) {
  const property = bytes(0x08, field(response))
  const length = property.length < 128 ? [property.length] : [(property.length & 0x7f) | 0x80, property.length >> 7]
  refuses(`a response topic of ${name}`, 5, packetOf(0x30, topic, length, property), 'PROTOCOL_VIOLATION')
}
refuses('a response topic that is not UTF-8', 5, packetOf(0x30, topic, 5, 0x08, 0, 2, 0xc0, 0xaf), 'MALFORMED_PACKET')
refuses('properties that reach past their packet', 5, packetOf(0x30, topic, 5, 0x01, 0), 'MALFORMED_PACKET')
refuses('a property that reaches past the properties', 5, packetOf(0x30, topic, 3, 0x03, 0, 1, 97), 'MALFORMED_PACKET')
refuses('a property without its value', 5, packetOf(0x30, topic, 1, 0x01), 'MALFORMED_PACKET')
refuses('property 0', 5, packetOf(0x30, topic, 1, 0), 'MALFORMED_PACKET')
refuses('an unknown property', 5, packetOf(0x30, topic, 2, 0x7f, 0), 'MALFORMED_PACKET')
refuses('a property identifier of two bytes', 5, packetOf(0x30, topic, 3, 0x81, 0x00, 0), 'MALFORMED_PACKET')
refuses('a property length with a needless byte', 5, packetOf(0x30, topic, 0x80, 0x00), 'MALFORMED_PACKET')
refuses('a property length of five bytes', 5, packetOf(0x30, topic, 0x80, 0x80, 0x80, 0x80, 0), 'MALFORMED_PACKET')
refuses("CONNECT's property in PUBLISH", 5, packetOf(0x30, topic, 3, 0x21, 0, 1), 'MALFORMED_PACKET')
refuses("CONNACK's property in PUBLISH", 5, packetOf(0x30, topic, 2, 0x24, 1), 'MALFORMED_PACKET')

refusesBoth('SUBSCRIBE without a filter', (level) => packetOf(0x82, 0, 1, none(level)), 'PROTOCOL_VIOLATION')
refusesBoth('UNSUBSCRIBE without a filter', (level) => packetOf(0xa2, 0, 1, none(level)), 'PROTOCOL_VIOLATION')
refusesBoth(
  'SUBSCRIBE with packet identifier 0',
  (level) => packetOf(0x82, 0, 0, none(level), topic, 0),
  'MALFORMED_PACKET',
)
refusesBoth(
  'UNSUBSCRIBE with packet identifier 0',
  (level) => packetOf(0xa2, 0, 0, none(level), topic),
  'MALFORMED_PACKET',
)
refusesBoth(
  'SUBSCRIBE without its fixed flags',
  (level) => packetOf(0x80, 0, 1, none(level), topic, 0),
  'MALFORMED_PACKET',
)
refusesBoth('a filter without options', (level) => packetOf(0x82, 0, 1, none(level), topic), 'MALFORMED_PACKET')
for (const filter of ['a+', '+a', 'a#', '#/a', 'a/#/b', '', '/'.repeat(128), 'x'.repeat(1025)]) {
  const name = filter.length > 9 ? `of ${filter.length} bytes` : JSON.stringify(filter)
  refusesBoth(
    `the filter ${name}`,
    (level) => packetOf(0x82, 0, 1, none(level), field(filter), 0),
    'INVALID_TOPIC_FILTER',
  )
  refusesBoth(
    `to unsubscribe ${name}`,
    (level) => packetOf(0xa2, 0, 1, none(level), field(filter)),
    'INVALID_TOPIC_FILTER',
  )
}
refuses('a requested QoS of 3', 4, packetOf(0x82, 0, 1, topic, 3), 'MALFORMED_PACKET')
refuses('subscription options', 4, packetOf(0x82, 0, 1, topic, 0x04), 'MALFORMED_PACKET')
refuses('a maximum QoS of 3', 5, packetOf(0x82, 0, 1, 0, topic, 3), 'PROTOCOL_VIOLATION')
refuses('retain handling 3', 5, packetOf(0x82, 0, 1, 0, topic, 0x30), 'PROTOCOL_VIOLATION')
refuses('reserved subscription options', 5, packetOf(0x82, 0, 1, 0, topic, 0x40), 'MALFORMED_PACKET')
refuses(
  'no local on a shared subscription',
  5,
  packetOf(0x82, 0, 1, 0, field('$share/g/a'), 0x04),
  'PROTOCOL_VIOLATION',
)
refuses('subscription identifier 0', 5, packetOf(0x82, 0, 1, 2, 0x0b, 0, topic, 0), 'PROTOCOL_VIOLATION')
refuses('two subscription identifiers', 5, packetOf(0x82, 0, 1, 4, 0x0b, 1, 0x0b, 2, topic, 0), 'PROTOCOL_VIOLATION')
refuses('a subscription identifier in UNSUBSCRIBE', 5, packetOf(0xa2, 0, 1, 2, 0x0b, 1, topic), 'MALFORMED_PACKET')
refusesBoth(
  'more filters in one SUBSCRIBE than allowed',
  (level) => packetOf(0x82, 0, 1, none(level), ...new Array<Uint8Array>(1001).fill(bytes(topic, 0))),
  'QUOTA_EXCEEDED',
)
refusesBoth(
  'more filters in one UNSUBSCRIBE than allowed',
  (level) => packetOf(0xa2, 0, 1, none(level), ...new Array<Uint8Array>(1001).fill(bytes(topic))),
  'QUOTA_EXCEEDED',
)

refusesBoth('bytes behind PINGREQ', () => packetOf(0xc0, 0), 'MALFORMED_PACKET')
refuses('bytes behind DISCONNECT', 4, packetOf(0xe0, 0), 'MALFORMED_PACKET')
refuses('DISCONNECT for a reason of servers', 5, packetOf(0xe0, 0x8b), 'PROTOCOL_VIOLATION')
refuses('bytes behind DISCONNECT', 5, packetOf(0xe0, 0, 0, 0), 'MALFORMED_PACKET')
refuses('AUTH', 4, packetOf(0xf0, 0x18, 4, 0x15, field('x')), 'PROTOCOL_VIOLATION')
refuses('AUTH without a method', 5, packetOf(0xf0, 0x18, 0), 'PROTOCOL_VIOLATION')
refuses('an empty AUTH', 5, packetOf(0xf0), 'PROTOCOL_VIOLATION')
refuses('AUTH with success', 5, packetOf(0xf0, 0, 4, 0x15, field('x')), 'PROTOCOL_VIOLATION')

refusesConnect('the reserved flag', connectOf(4, 0x03, field('d1')), 'MALFORMED_PACKET')
refusesConnect(
  'a password without a user name in 3.1.1',
  connectOf(4, 0x42, field('d1'), field('p')),
  'MALFORMED_PACKET',
)
for (const level of [4, 5] as const) {
  refusesConnect('will retain without a will', connectOf(level, 0x22, none(level), field('d1')), 'MALFORMED_PACKET')
  refusesConnect('will QoS without a will', connectOf(level, 0x0a, none(level), field('d1')), 'MALFORMED_PACKET')
  const will = [none(level), field('d1'), none(level), field('w'), field('x')]
  refusesConnect('will QoS 3', connectOf(level, 0x1e, ...will), 'MALFORMED_PACKET')
  refusesConnect('a user name flag and none', connectOf(level, 0x82, none(level), field('d1')), 'MALFORMED_PACKET')
  refusesConnect('bytes behind it', connectOf(level, 0x02, none(level), field('d1'), 0), 'MALFORMED_PACKET')
  for (const name of ['a/#', '+', '']) {
    const bad = [none(level), field('d1'), none(level), field(name), field('x')]
    refusesConnect(`the will topic ${JSON.stringify(name)}`, connectOf(level, 0x06, ...bad), 'INVALID_TOPIC')
  }
}
refusesConnect('MQTT level 3', connectOf(3, 2, field('d1')), 'UNSUPPORTED_PROTOCOL')
refusesConnect('MQTT level 6', connectOf(6, 2, field('d1')), 'UNSUPPORTED_PROTOCOL')
refusesConnect('MQTT 3.1', packetOf(0x10, field('MQIsdp'), 3, 2, 0, 60, field('d1')), 'UNSUPPORTED_PROTOCOL')
refusesConnect('another protocol name', packetOf(0x10, field('HTTP'), 4, 2, 0, 60, field('d1')), 'MALFORMED_PACKET')
for (const [what, property, code] of [
  ['receive maximum 0', [0x21, 0, 0], 'PROTOCOL_VIOLATION'],
  ['maximum packet size 0', [0x27, 0, 0, 0, 0], 'PROTOCOL_VIOLATION'],
  ['request problem information 2', [0x17, 2], 'PROTOCOL_VIOLATION'],
  ['request response information 2', [0x19, 2], 'PROTOCOL_VIOLATION'],
  ['session expiry twice', [0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1], 'PROTOCOL_VIOLATION'],
  ['authentication data without a method', [0x16, 0, 1, 1], 'PROTOCOL_VIOLATION'],
  ['a will delay outside of the will', [0x18, 0, 0, 0, 1], 'MALFORMED_PACKET'],
  ['a topic alias', [0x23, 0, 1], 'MALFORMED_PACKET'],
] as const) {
  refusesConnect(what, connectOf(5, 2, property.length, property, field('d1')), code)
  if (code === 'MALFORMED_PACKET') continue
  const will = [0, field('d1'), property.length, property, field('w'), field('x')]
  refusesConnect(`${what} as a property of the will`, connectOf(5, 6, ...will), 'MALFORMED_PACKET')
}
refusesConnect(
  'a will with a payload format of 2',
  connectOf(5, 6, 0, field('d1'), 2, 1, 2, field('w'), field('')),
  'PROTOCOL_VIOLATION',
)

const userProperty = bytes(0x26, field(''), field(''))
refusesConnect(
  'over 100 user properties',
  connectOf(5, 2, [0xf9, 0x03], ...new Array<Uint8Array>(101).fill(userProperty), field('d1')),
  'QUOTA_EXCEEDED',
)
const longProperty = bytes(0x26, field('n'), field('v'.repeat(16_384)))
refusesConnect(
  'over 16 KiB of user properties',
  connectOf(5, 2, [0x86, 0x80, 0x01], longProperty, field('d1')),
  'QUOTA_EXCEEDED',
)

test('takes 10,000 user properties apart in linear time where the limit lets it', () => {
  const many = new Array<Uint8Array>(10_000).fill(userProperty)
  const connect = connectOf(5, 2, [0xd0, 0x86, 0x03], ...many, field('d1'))
  const limits = { maxFiltersPerPacket: 1, maxUserProperties: 10_000, maxUserPropertyBytes: 50_000 }
  assert.equal(decodeStream(connect, { limits }).length, 1)
})

test('allows in MQTT 5 a password without a user name', () => {
  const [connect] = decodeStream(connectOf(5, 0x42, 0, field('d1'), field('p')))
  assert.ok(connect?.type === 'connect')
  assert.deepEqual(connect.password, Buffer.from('p'))
  assert.equal(connect.username, undefined)
})

test('reads CONNECT and nothing else as long as there is no level, and no CONNECT afterwards', () => {
  const frame = (type: number, bytes: Buffer) => ({ type, flags: 0, bytes, start: 0, end: bytes.length })
  const code = 'PROTOCOL_VIOLATION'
  assert.throws(() => decodePacket(frame(packetTypes.pingreq, Buffer.alloc(0)), undefined), { code })
  assert.throws(() => decodePacket(frame(packetTypes.connect, hello(4).subarray(2)), 4), { code })
  assert.equal(decodePacket(frame(packetTypes.connect, hello(4).subarray(2)), undefined).type, 'connect')
})

test('never takes one topic for another, whatever was read before', () => {
  const names = Array.from({ length: 20_000 }, (_, at) => `t${at}`)
  const longer = names.flatMap((name) => ['t', name])
  const said = [...names, ...names, ...longer]
  const read = decodeStream(Buffer.concat([hello(4), ...said.map((name) => packetOf(0x30, field(name)))]))
  assert.deepEqual(
    read.slice(1).map((packet) => packet.type === 'publish' && packet.topic),
    said,
  )
})

test('leaves an empty client id to the session layer, with the flag that decides', () => {
  const [connect] = decodeStream(connectOf(4, 0, field('')))
  assert.ok(connect?.type === 'connect')
  assert.equal(connect.clientId, '')
  assert.equal(connect.clean, false)
})

test('fills in what MQTT 3.1.1 does not say: a session that is not clean never expires, everything else is as MQTT 5 assumes', () => {
  const [clean] = decodeStream(connectOf(4, 2, field('d1')))
  const [kept] = decodeStream(connectOf(4, 0, field('d1')))
  assert.deepEqual(clean, {
    type: 'connect',
    level: 4,
    clientId: 'd1',
    clean: true,
    keepAliveSeconds: 60,
    sessionExpirySeconds: 0,
    receiveMaximum: 65_535,
    maximumPacketSize: undefined,
    topicAliasMaximum: 0,
    requestResponseInformation: false,
    requestProblemInformation: true,
  })
  assert.deepEqual(kept, { ...clean, clean: false, sessionExpirySeconds: 0xffffffff })
  assert.deepEqual(decodeStream(connectOf(5, 0, 0, field('d1'))), [{ ...clean, level: 5, clean: false }])
})

test('takes the short forms of acknowledgements and of DISCONNECT', () => {
  const short = [packetOf(0x40, 0, 1), packetOf(0x50, 0, 2, 0x97), packetOf(0xe0), packetOf(0xe0, 0x04)]
  const [, puback, pubrec, disconnect, withWill] = decodeStream(Buffer.concat([hello(5), ...short]))
  assert.deepEqual(puback, { type: 'puback', packetId: 1, reasonCode: 0 })
  assert.deepEqual(pubrec, { type: 'pubrec', packetId: 2, reasonCode: 0x97 })
  assert.deepEqual(disconnect, { type: 'disconnect', reasonCode: 0, sessionExpirySeconds: undefined })
  assert.deepEqual(withWill, { type: 'disconnect', reasonCode: 4, sessionExpirySeconds: undefined })
})

test('takes __proto__, constructor and the like for ordinary filters and property names', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
  const subscribe = packetOf(0x82, 0, 1, 0, ...names.map((name) => bytes(field(name), 0)))
  const publish = packetOf(0x30, topic, 15, 0x26, field('__proto__'), field('x'))
  const [, subscribed, published] = decodeStream(Buffer.concat([hello(5), subscribe, publish]))
  assert.ok(subscribed?.type === 'subscribe' && published?.type === 'publish')
  assert.deepEqual(
    subscribed.requests.map(({ filter }) => filter),
    names,
  )
  assert.deepEqual(published.properties.userProperties, [['__proto__', 'x']])
})

test('keeps a BOM and never normalises', () => {
  const names = ['\ufeffa', 'e\u0301', '\u00e9', '\ufffd']
  const packets = decodeStream(Buffer.concat([hello(4), ...names.map((name) => packetOf(0x30, field(name)))]))
  assert.deepEqual(
    packets.flatMap((packet) => (packet.type === 'publish' ? [packet.topic] : [])),
    names,
  )
})

test('all messages without properties share one frozen object', () => {
  const [, first, second] = decodeStream(
    Buffer.concat([hello(5), packetOf(0x30, topic, 0, 1), packetOf(0x30, topic, 0, 2)]),
  )
  assert.ok(first?.type === 'publish' && second?.type === 'publish')
  assert.equal(first.properties, second.properties)
  assert.ok(Object.isFrozen(first.properties))
})
