import assert from 'node:assert/strict'
import test from 'node:test'
import type { WireErrorCode } from '../../../broker/errors.js'
import { FrameReader } from '../../../broker/wire/frame.js'
import { decodeStream, field, hello, packetOf } from './wire.js'

/** Bytes that are refused as soon as the last of them is there. */
function refuses(what: string, bytes: readonly number[], code: WireErrorCode, connected = true): void {
  test(`refuses ${what} as soon as it can be seen`, () => {
    const reader = connected ? connectedReader() : new FrameReader(1024)
    for (const byte of bytes.slice(0, -1)) {
      reader.push(Buffer.from([byte]))
      assert.equal(reader.next(), undefined)
    }
    reader.push(Buffer.from(bytes.slice(-1)))
    assert.throws(() => reader.next(), { code })
  })
}

function connectedReader(maxBytes = 1024): FrameReader {
  const reader = new FrameReader(maxBytes)
  reader.push(hello(4))
  assert.ok(reader.next())
  return reader
}

refuses('256 MiB', [0x10, 0xff, 0xff, 0xff, 0x7f], 'PACKET_TOO_LARGE', false)
refuses('one byte above the limit', [0x30, 0xfe, 0x07], 'PACKET_TOO_LARGE')
refuses('a remaining length of five bytes', [0x30, 0x80, 0x80, 0x80, 0x80], 'MALFORMED_PACKET')
refuses('a remaining length with a needless byte', [0x30, 0x81, 0x00], 'MALFORMED_PACKET')
refuses('anything before CONNECT', [0x30], 'PROTOCOL_VIOLATION', false)
refuses('AUTH before CONNECT', [0xf0], 'PROTOCOL_VIOLATION', false)
refuses('a second CONNECT', [0x10], 'PROTOCOL_VIOLATION')
for (const header of [0x00, 0x20, 0x90, 0xb0, 0xd0]) {
  refuses(`packet type ${header >> 4}, which no client sends,`, [header], 'PROTOCOL_VIOLATION')
}
for (const header of [0x41, 0x51, 0x60, 0x63, 0x72, 0x80, 0x8a, 0xa0, 0xc1, 0xe8, 0xf1]) {
  refuses(`the header 0x${header.toString(16)} with reserved flags`, [header], 'MALFORMED_PACKET')
}

test('takes a packet of exactly the limit', () => {
  const reader = connectedReader()
  reader.push(packetOf(0x30, field('t'), Buffer.alloc(1024 - 6)))
  const frame = reader.next()
  assert.equal(frame && frame.end - frame.start, 1024 - 3)
})

test('a limit that is raised after CONNECT holds from the next packet on', () => {
  const reader = connectedReader(hello(4).length)
  const publish = packetOf(0x30, field('t'), Buffer.alloc(100))
  reader.maxBytes = publish.length
  reader.push(publish)
  assert.ok(reader.next())
})

test('reads whole packets where they were received, without a copy', () => {
  const chunk = Buffer.concat([hello(4), packetOf(0x30, field('t'), 1), packetOf(0x30, field('t'), 2)])
  const reader = new FrameReader(1024)
  reader.push(chunk)
  for (let frames = 0; frames < 3; frames++) assert.equal(reader.next()?.bytes, chunk)
  assert.equal(reader.next(), undefined)
  assert.equal(reader.heldBytes, 0)
})

test('what was read stays true while the rest of the stream comes in pieces', () => {
  const stream = Buffer.concat([
    hello(4),
    ...Array.from({ length: 300 }, (_, at) => packetOf(0x30, field('t'), Buffer.alloc(at, at))),
  ])
  for (const chunk of [1, 2, 7, 100, 1000]) {
    const payloads = decodeStream(stream, { chunk }).flatMap((packet) =>
      packet.type === 'publish' ? [packet.payload] : [],
    )
    assert.equal(payloads.length, 300)
    for (const [at, payload] of payloads.entries()) assert.deepEqual(payload, Buffer.alloc(at, at))
  }
})

test('holds no more than the largest packet and a chunk, however the packets come', () => {
  const maxBytes = 10_000
  const packet = packetOf(0x30, field('t'), Buffer.alloc(maxBytes - 6))
  const stream = Buffer.concat(new Array<Buffer>(20).fill(packet))
  for (const chunk of [1, 13, 1000, 9_999, 10_001, 65_536]) {
    const reader = connectedReader(maxBytes)
    let frames = 0
    for (let at = 0; at < stream.length; at += chunk) {
      reader.push(stream.subarray(at, at + chunk))
      while (reader.next()) frames++
      assert.ok(reader.heldBytes <= maxBytes + chunk, `${reader.heldBytes} in chunks of ${chunk}`)
    }
    assert.equal(frames, 20)
    assert.equal(reader.partial, false)
  }
})

test('announcing a large packet and sending nothing of it costs nothing', () => {
  const reader = connectedReader(1 << 20)
  reader.push(Buffer.from([0x30, 0xf0, 0xff, 0x3f]))
  assert.equal(reader.next(), undefined)
  reader.push(Buffer.from([0]))
  assert.equal(reader.next(), undefined)
  assert.ok(reader.partial && reader.heldBytes < 100)
})

test('a packet that comes byte by byte is copied a bounded number of times', (t) => {
  const prototype: Buffer = Buffer.prototype
  const copied = t.mock.method(prototype, 'copy')
  const packet = packetOf(0x30, field('t'), Buffer.alloc(60_000))
  const reader = connectedReader(1 << 20)
  for (const byte of packet) {
    reader.push(Buffer.from([byte]))
    reader.next()
  }
  assert.equal(reader.partial, false)
  const moved = copied.mock.calls.reduce((sum, { result }) => sum + Number(result), 0)
  assert.ok(moved >= packet.length && moved <= 4 * packet.length, `${moved} bytes were copied for ${packet.length}`)
})
