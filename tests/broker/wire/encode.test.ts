import assert from 'node:assert/strict'
import test from 'node:test'
import { type Packet as OraclePacket, parser } from 'mqtt-packet'
import { parseTopicName } from '#protocol'
import {
  encodeAck,
  encodeConnack,
  encodeDisconnect,
  encodeSuback,
  encodeUnsuback,
  pingresp,
} from '../../../broker/wire/encode.js'
import { encodeMessageProperties } from '../../../broker/wire/encode-properties.js'
import { encodePublish } from '../../../broker/wire/encode-publish.js'
import type { ProtocolLevel } from '../../../broker/wire/packet.js'
import { reasonCodes } from '../../../broker/wire/reason-codes.js'

/** What mqtt-packet reads in a frame, with what it leaves undefined taken away. */
function oracle(level: ProtocolLevel, frame: Buffer): Record<string, unknown> {
  const packets: OraclePacket[] = []
  const reading = parser({ protocolVersion: level })
  reading.on('packet', (packet) => packets.push(packet))
  reading.on('error', (error: unknown) => {
    throw error
  })
  reading.parse(frame)
  const [packet] = packets
  assert.ok(packet && packets.length === 1)
  return Object.fromEntries(
    Object.entries(packet).filter(([name, value]) => value !== null && name !== 'length' && name !== 'topic'),
  )
}

const userProperties = [
  ['a', '1'],
  ['b', 'é'],
] as const

test('CONNACK says in MQTT 5 all that was agreed', () => {
  const connack = encodeConnack({
    level: 5,
    sessionPresent: true,
    reasonCode: reasonCodes.success,
    properties: {
      sessionExpirySeconds: 0xfffffffe,
      receiveMaximum: 65_535,
      maximumPacketSize: 262_144,
      topicAliasMaximum: 10,
      serverKeepAliveSeconds: 1200,
      reasonString: 'welcome',
      responseInformation: 'r/d1',
      userProperties,
    },
  })
  const { sessionPresent, reasonCode, properties } = oracle(5, connack)
  assert.deepEqual([sessionPresent, reasonCode], [true, 0])
  assert.deepEqual(
    { ...Object(properties), userProperties: { ...Object(properties).userProperties } },
    {
      sessionExpiryInterval: 0xfffffffe,
      receiveMaximum: 65_535,
      maximumPacketSize: 262_144,
      topicAliasMaximum: 10,
      serverKeepAlive: 1200,
      reasonString: 'welcome',
      responseInformation: 'r/d1',
      userProperties: { a: '1', b: 'é' },
    },
  )
})

test('CONNACK never says that a session is present when it refuses', () => {
  const refused = { sessionPresent: true, reasonCode: reasonCodes.notAuthorized } as const
  assert.deepEqual(encodeConnack({ level: 4, ...refused }), Buffer.from([0x20, 2, 0, 5]))
  assert.deepEqual(encodeConnack({ level: 5, ...refused }), Buffer.from([0x20, 3, 0, 0x87, 0]))
})

test('CONNACK translates reasons into the six codes of MQTT 3.1.1', () => {
  const codes = (['success', 'unsupportedProtocolVersion', 'clientIdentifierNotValid', 'serverBusy'] as const).map(
    (name) => encodeConnack({ level: 4, sessionPresent: false, reasonCode: reasonCodes[name] })[3],
  )
  assert.deepEqual(codes, [0, 1, 2, 3])
})

test('acknowledgements are as short as their content allows', () => {
  const success = { packetId: 258, reasonCode: reasonCodes.success } as const
  const denied = { packetId: 258, reasonCode: reasonCodes.notAuthorized } as const
  assert.deepEqual(encodeAck({ level: 4, type: 'puback', ...denied, reasonString: 'x' }), Buffer.from([0x40, 2, 1, 2]))
  assert.deepEqual(encodeAck({ level: 5, type: 'pubrec', ...success }), Buffer.from([0x50, 2, 1, 2]))
  assert.deepEqual(encodeAck({ level: 5, type: 'pubrel', ...success }), Buffer.from([0x62, 2, 1, 2]))
  assert.deepEqual(encodeAck({ level: 5, type: 'pubcomp', ...denied }), Buffer.from([0x70, 3, 1, 2, 0x87]))
  const explained = oracle(5, encodeAck({ level: 5, type: 'puback', ...denied, reasonString: 'no right' }))
  assert.equal(explained['messageId'], 258)
  assert.equal(explained['reasonCode'], 0x87)
  assert.deepEqual(explained['properties'], { reasonString: 'no right' })
})

test('a long reason is cut before a character, at 256 bytes', () => {
  const disconnect = encodeDisconnect({
    reasonCode: reasonCodes.quotaExceeded,
    reasonString: `x${'é'.repeat(200)}`,
  })
  assert.deepEqual(oracle(5, disconnect)['properties'], { reasonString: `x${'é'.repeat(127)}` })
})

test('SUBACK and UNSUBACK carry a code for each filter, and in MQTT 3.1.1 only what it knows', () => {
  const codes = [reasonCodes.grantedQos2, reasonCodes.notAuthorized, reasonCodes.success]
  const suback = { packetId: 7, reasonCodes: codes, reasonString: 'lacks f/d2' }
  assert.deepEqual(encodeSuback({ level: 4, ...suback }), Buffer.from([0x90, 5, 0, 7, 2, 0x80, 0]))
  const explained = oracle(5, encodeSuback({ level: 5, ...suback }))
  assert.deepEqual(explained['granted'], codes)
  assert.deepEqual(explained['properties'], { reasonString: 'lacks f/d2' })

  const unsuback = { packetId: 7, reasonCodes: [reasonCodes.success, reasonCodes.noSubscriptionExisted] }
  assert.deepEqual(encodeUnsuback({ level: 4, ...unsuback }), Buffer.from([0xb0, 2, 0, 7]))
  assert.deepEqual(oracle(5, encodeUnsuback({ level: 5, ...unsuback }))['granted'], [0, 0x11])
})

test('DISCONNECT and PINGRESP', () => {
  assert.deepEqual(encodeDisconnect({ reasonCode: reasonCodes.sessionTakenOver }), Buffer.from([0xe0, 1, 0x8e]))
  assert.deepEqual(pingresp, Buffer.from([0xd0, 0]))
})

test('PUBLISH with everything reads back as it was', () => {
  const properties = encodeMessageProperties({
    payloadFormatIndicator: 1,
    contentType: 'text/plain',
    responseTopic: parseTopicName('r/é'),
    correlationData: Buffer.from([0, 255]),
    userProperties,
  })
  const frame = encodePublish({
    level: 5,
    topic: Buffer.from('a/é'),
    payload: Buffer.from('x'.repeat(20_000)),
    qos: 1,
    retain: true,
    dup: true,
    packetId: 65_535,
    properties,
    messageExpirySeconds: 0xffffffff,
    topicAlias: 300,
    subscriptionIdentifiers: [1, 128, 16_384, 268_435_455],
  })
  const read = oracle(5, frame)
  assert.deepEqual([read['qos'], read['retain'], read['dup'], read['messageId']], [1, true, true, 65_535])
  assert.equal(String(read['payload']), 'x'.repeat(20_000))
  const { userProperties: user, ...others } = Object(read['properties'])
  assert.deepEqual({ ...user }, { a: '1', b: 'é' })
  assert.deepEqual(others, {
    payloadFormatIndicator: true,
    contentType: 'text/plain',
    responseTopic: 'r/é',
    correlationData: Buffer.from([0, 255]),
    messageExpiryInterval: 0xffffffff,
    topicAlias: 300,
    subscriptionIdentifier: [1, 128, 16_384, 268_435_455],
  })
})

test('PUBLISH of MQTT 3.1.1 has no properties', () => {
  const fields = { level: 4, payload: Buffer.from('p'), retain: false, dup: false } as const
  const quick = encodePublish({ ...fields, topic: Buffer.from('t'), qos: 0, packetId: 0, messageExpirySeconds: 5 })
  assert.deepEqual(quick, Buffer.from([0x30, 4, 0, 1, 116, 112]))
})
