import assert from 'node:assert/strict'
import test from 'node:test'
import { encodeAck, encodeConnack, encodeSuback } from '../../../broker/wire/encode.js'
import { encodeMessageProperties } from '../../../broker/wire/encode-properties.js'
import { encodePublish } from '../../../broker/wire/encode-publish.js'
import type { ProtocolLevel } from '../../../broker/wire/packet.js'
import { reasonCodes } from '../../../broker/wire/reason-codes.js'
import { seeded } from '../../seeded.js'
import { fromOracle, generateByOracle, means, oracleParser } from './oracle.js'
import { oneOf, randomConversation, randomId, randomPublish, randomText, randomUint32 } from './random-packets.js'
import { decodeStream, hello } from './wire.js'

for (const level of [4, 5] as const) {
  test(`whatever mqtt-packet encodes we decode to the same: 600 conversations of level ${level}`, () => {
    const random = seeded(level)
    for (let round = 0; round < 600; round++) {
      const said = randomConversation(random, level, 8)
      const stream = Buffer.concat(said.map((packet) => generateByOracle(packet, level)))
      const read = decodeStream(stream, { chunk: round % 50 === 0 ? 1 : 1 + random(stream.length) })
      assert.deepEqual(read, expected(said, level))
    }
  })
}

for (const level of [4, 5] as const) {
  test(`PUBLISH that we pass on reads the same for mqtt-packet and for us, level ${level}`, () => {
    const random = seeded(10 + level)
    const parse = oracleParser(level)
    for (let round = 0; round < 2000; round++) {
      const published = fromOracle(randomPublish(random, level), level)
      assert.ok(published.type === 'publish')
      const { topic = '', properties, ...fields } = published
      const encoded = encodePublish({
        ...fields,
        level,
        topic: Buffer.from(topic),
        properties: encodeMessageProperties(properties),
      })
      assert.ok(means(published, parse(encoded), level))
      const [, read] = decodeStream(Buffer.concat([hello(level), encoded]))
      assert.deepEqual(read, published)
    }
  })

  test(`acknowledgements read for mqtt-packet as we mean them, level ${level}`, () => {
    const random = seeded(20 + level)
    const parse = oracleParser(level)
    const reason = () => (random(2) === 0 ? { reasonString: 'reason é' } : {})
    for (let round = 0; round < 2000; round++) {
      const packetId = randomId(random)
      const type = oneOf(random, ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const)
      const reasons = type === 'puback' || type === 'pubrec' ? publishReasons : releaseReasons
      const ack = { level, type, packetId, reasonCode: oneOf(random, reasons), ...reason() }
      const { cmd, messageId, reasonCode, properties } = { reasonCode: 0, properties: {}, ...parse(encodeAck(ack)) }
      assert.deepEqual([cmd, messageId], [type, packetId])
      if (level === 5) assert.deepEqual([reasonCode, properties], [ack.reasonCode, reasonIn(ack)])

      const codes = Array.from({ length: 1 + random(200) }, () => oneOf(random, subscribeReasons))
      const suback = { level, packetId, reasonCodes: codes, ...reason() }
      const granted = { granted: [], properties: {}, ...parse(encodeSuback(suback)) }
      const told = level === 5 ? codes : codes.map((code) => (code >= 0x80 ? 0x80 : code))
      assert.deepEqual([granted.messageId, granted.granted], [packetId, told])
      if (level === 5) assert.deepEqual(granted.properties, reasonIn(suback))
    }
  })

  test(`CONNACK reads for mqtt-packet as we mean it, level ${level}`, () => {
    const random = seeded(30 + level)
    const parse = oracleParser(level)
    const maybe = <T>(value: T) => (random(2) === 0 ? value : undefined)
    for (let round = 0; round < 1000; round++) {
      const properties = {
        sessionExpirySeconds: maybe(randomUint32(random)),
        receiveMaximum: maybe(1 + random(65_535)),
        maximumPacketSize: maybe(1 + random(0xfffffffe)),
        topicAliasMaximum: maybe(random(65_536)),
        serverKeepAliveSeconds: maybe(random(65_536)),
        responseInformation: maybe(randomText(random)),
      }
      const reasonCode = oneOf(random, [reasonCodes.success, reasonCodes.notAuthorized])
      const read = parse(encodeConnack({ level, sessionPresent: true, reasonCode, properties }))
      assert.ok(read.cmd === 'connack')
      assert.equal(read.sessionPresent, reasonCode === 0)
      if (level === 4) assert.equal(read.returnCode, reasonCode === 0 ? 0 : 5)
      else {
        const { sessionExpiryInterval, serverKeepAlive, ...others } = { ...read.properties }
        assert.equal(read.reasonCode, reasonCode)
        assert.deepEqual(
          { ...others, sessionExpirySeconds: sessionExpiryInterval, serverKeepAliveSeconds: serverKeepAlive },
          Object.fromEntries(Object.entries(properties).filter(([name, value]) => named(name) || value !== undefined)),
        )
      }
    }
  })
}

const publishReasons = [reasonCodes.success, reasonCodes.noMatchingSubscribers, reasonCodes.notAuthorized]
const releaseReasons = [reasonCodes.success, reasonCodes.packetIdentifierNotFound]
const subscribeReasons = [
  reasonCodes.success,
  reasonCodes.grantedQos1,
  reasonCodes.grantedQos2,
  reasonCodes.notAuthorized,
  reasonCodes.quotaExceeded,
]

function reasonIn({ reasonString }: { readonly reasonString?: string }) {
  return reasonString === undefined ? {} : { reasonString }
}

/** Those that mqtt-packet names otherwise, which are there as undefined. */
function named(name: string): boolean {
  return name === 'sessionExpirySeconds' || name === 'serverKeepAliveSeconds'
}

function expected(said: ReturnType<typeof randomConversation>, level: ProtocolLevel) {
  return said.map((packet) => fromOracle(packet, level))
}
