import assert from 'node:assert/strict'
import test from 'node:test'
import type { ProtocolLevel } from '../../../broker/wire/packet.js'
import { seeded } from '../../seeded.js'
import { fromOracle, generateByOracle } from './oracle.js'
import { randomConversation } from './random-packets.js'
import { decodeStream } from './wire.js'

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

function expected(said: ReturnType<typeof randomConversation>, level: ProtocolLevel) {
  return said.map((packet) => fromOracle(packet, level))
}
