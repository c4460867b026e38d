import assert from 'node:assert/strict'
import test from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { BrokerError } from '../../../broker/errors.js'
import { decodePacket } from '../../../broker/wire/decode.js'
import { type Frame, FrameReader } from '../../../broker/wire/frame.js'
import type { ProtocolLevel } from '../../../broker/wire/packet.js'
import { wireReasonCodes } from '../../../broker/wire/reason-codes.js'
import { seeded } from '../../seeded.js'
import { cutPacket, readByGrammar, Ungrammatical } from './grammar.js'
import { type Conversation, mutate } from './mutate.js'
import { generateByOracle, means, oracleParser } from './oracle.js'
import { type Random, randomConversation } from './random-packets.js'

const streams = 100_000
const maxBytes = 8 * 1024

test(`${streams} mutated streams: the grammar and nothing else is accepted, and nothing foreign is thrown`, (t) => {
  const random = seeded(20261123)
  const valid = Array.from({ length: 1000 }, (_, at) => conversation(random, at % 2 === 0 ? 4 : 5))
  const figures = new Map<string, number>()
  const count = (what: string, by = 1) => figures.set(what, (figures.get(what) ?? 0) + by)
  for (let round = 0; round < streams; round++) {
    const original = valid[random(valid.length)]
    assert.ok(original)
    const stream = mutate(original, valid, random)
    count('bytes', stream.length)
    try {
      readStream(stream, random, count)
    } catch (cause) {
      throw new Error(`stream ${round}: ${stream.toString('hex')}`, { cause })
    }
  }
  t.diagnostic(`${streams} streams; ${[...figures].map(([what, times]) => `${what}: ${times}`).join(', ')}`)
  for (const code of Object.keys(wireReasonCodes)) {
    // No mutation makes a hundred user properties or a thousand filters of these packets.
    if (code !== 'QUOTA_EXCEEDED') assert.ok(figures.has(code), `no stream was refused with ${code}`)
  }
})

function conversation(random: Random, level: ProtocolLevel): Conversation {
  const said = randomConversation(random, level, 2 + random(8))
  return { level, packets: said.map((packet) => generateByOracle(packet, level)) }
}

/** Reads a stream in random chunks as a connection would, and holds every packet against the two other readings. */
function readStream(stream: Buffer, random: Random, count: (what: string) => void): void {
  const reader = new FrameReader(maxBytes)
  const following = new Follower(stream)
  try {
    for (let at = 0; at < stream.length;) {
      const size = 1 + random(random(2) === 0 ? 16 : stream.length)
      reader.push(stream.subarray(at, at + size))
      at += size
      assert.ok(reader.heldBytes <= maxBytes + size, `${reader.heldBytes} bytes are held`)
      for (let frame = reader.next(); frame; frame = reader.next()) count(following.accept(frame))
    }
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    following.refuse(error)
    count(error.code)
    return
  }
  following.end()
  count('read to the end')
}

/** Where in the stream we are, by a reckoning of its own. */
class Follower {
  readonly #stream: Buffer
  #at = 0
  #level: ProtocolLevel | undefined
  #oracle = oracleParser(4)

  constructor(stream: Buffer) {
    this.#stream = stream
  }

  /** @throws BrokerError from the decoder */
  accept(frame: Frame): string {
    const packet = decodePacket(frame, this.#level)
    const bytes = cutPacket(this.#stream, this.#at)
    assert.ok(bytes, 'a packet that is not there')
    assert.ok(isDeepStrictEqual(packet, readByGrammar(bytes, this.#level)), 'another reading than the grammar’s')
    if (packet.type === 'connect') {
      this.#level = packet.level
      this.#oracle = oracleParser(packet.level)
    }
    assert.ok(this.#level !== undefined)
    assert.ok(means(packet, this.#oracle(bytes), this.#level), 'another reading than mqtt-packet’s')
    this.#at += bytes.length
    return 'packets'
  }

  /** What is refused must be outside of the grammar, or too large. */
  refuse(error: BrokerError): void {
    const bytes = cutPacket(this.#stream, this.#at)
    if (error.code === 'PACKET_TOO_LARGE') {
      assert.ok(bytes === undefined || bytes.length > maxBytes, 'not too large')
    } else if (bytes) {
      assert.throws(() => readByGrammar(bytes, this.#level), Ungrammatical, `${error.message} is within the grammar`)
    }
  }

  /** Nothing whole is left over. */
  end(): void {
    assert.equal(cutPacket(this.#stream, this.#at), undefined)
  }
}
