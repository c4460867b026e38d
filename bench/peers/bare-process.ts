import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createServer, type TLSSocket } from 'node:tls'
import { type Given, serveBenchmark } from './node-broker.js'

/*
 * What Node's sockets and TLS cost, and nothing else: a broker with no duties. Each PUBLISH goes byte by byte to everyone
 * who has ever subscribed to anything, and is acknowledged at once. No session, no rights, no record, no decoding.
 */

const type = { connect: 1, publish: 3, subscribe: 8, pingreq: 12 } as const
const connack = Buffer.from([0x20, 2, 0, 0])
const pingresp = Buffer.from([0xd0, 0])

/** One write for each connection and turn of the event loop. */
class Peer {
  readonly #socket: TLSSocket
  #out: Buffer[] = []
  #rest: Buffer = Buffer.alloc(0)

  constructor(socket: TLSSocket) {
    this.#socket = socket
  }

  send(bytes: Buffer): void {
    if (this.#out.push(bytes) === 1) setImmediate(() => this.#socket.write(Buffer.concat(this.#out.splice(0))))
  }

  receive(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    for (let frame = frameAt(bytes, at); frame; frame = frameAt(bytes, at)) {
      this.#answer(bytes, at, frame)
      at = frame.end
    }
    this.#rest = bytes.subarray(at)
  }

  #answer(bytes: Buffer, at: number, { body, end }: Frame): void {
    const header = bytes[at] ?? 0
    switch (header >> 4) {
      case type.connect:
        return this.send(connack)
      case type.subscribe:
        subscribers.add(this)
        return this.send(Buffer.from([0x90, 3, bytes[body] ?? 0, bytes[body + 1] ?? 0, (bytes[end - 1] ?? 0) & 3]))
      case type.pingreq:
        return this.send(pingresp)
      case type.publish: {
        const frame = bytes.subarray(at, end)
        for (const subscriber of subscribers) subscriber.send(frame)
        const id = body + 2 + bytes.readUInt16BE(body)
        if (header & 0x06) this.send(Buffer.from([0x40, 2, bytes[id] ?? 0, bytes[id + 1] ?? 0]))
      }
    }
  }
}

const subscribers = new Set<Peer>()

interface Frame {
  readonly body: number
  readonly end: number
}

/** By the fixed header, MQTT 3.1.1 clause 2.2. */
function frameAt(bytes: Buffer, at: number): Frame | undefined {
  let length = 0
  for (let digit = 0; digit < 4; digit++) {
    const byte = bytes[at + 1 + digit]
    if (byte === undefined) return undefined
    length += (byte & 0x7f) << (7 * digit)
    if (byte < 0x80) {
      const body = at + 2 + digit
      return body + length <= bytes.length ? { body, end: body + length } : undefined
    }
  }
  return undefined
}

const [, , folder = ''] = process.argv
const { tls } = JSON.parse(readFileSync(join(folder, 'given.json'), 'utf8')) as Given
const server = createServer(
  { ...tls, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3', noDelay: true },
  (socket) => {
    const peer = new Peer(socket)
    socket.on('data', (chunk: Buffer) => peer.receive(chunk))
    socket.on('close', () => subscribers.delete(peer))
    socket.on('error', () => socket.destroy())
  },
)
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new TypeError('a TCP listener has a port')
  serveBenchmark(address.port, async () => {
    await new Promise<void>((resolve) => server.close(() => resolve()))
    return {}
  })
})
