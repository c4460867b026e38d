import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** Where a line stops: before the service hears of a request, or before the device hears of its answer. */
export type Place = 'request' | 'answer'

interface Stop {
  readonly request: number
  readonly place: Place
  readonly reached: () => void
}

/** A record of TLS (RFC 8446 §5.1), header included. */
type TlsRecord = Buffer

const applicationData = 23
/** Two messages of a TLS 1.3 client that are told by their lengths, whatever they are encrypted to (§5.2): header, message, content type, tag. */
const finishedLengths = [32, 48].map((hash) => 5 + 4 + hash + 1 + 16)
const alertLength = 5 + 2 + 1 + 16
/** What a server of OpenSSL's says by itself behind the handshake (SSL_CTX_set_num_tickets(3)). */
const tickets = 2

/**
 * What lies between a device and its service. It follows requests and answers over all connections by the records of TLS,
 * of which it can read nothing, and can stop at any of them.
 */
export class Line {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #requests = 0
  #stop: Stop | undefined
  #isCut = false

  private constructor(server: Server) {
    this.#server = server
  }

  static async lay(t: TestContext, port: number): Promise<Line> {
    const server = createServer().listen(0, 'localhost')
    await once(server, 'listening')
    const line = new Line(server)
    server.on('connection', (near) => line.#carry(near, port))
    t.after(() => {
      line.cut()
      server.close()
    })
    return line
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** How many have been made since the line was last mended. */
  get requests(): number {
    return this.#requests
  }

  /** Resolves when that request, or its answer, has come so far; from then on nothing goes through. */
  stopAt(request: number, place: Place): Promise<void> {
    return new Promise((reached) => {
      this.#stop = { request, place, reached }
    })
  }

  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }

  mend(): void {
    this.#isCut = false
    this.#stop = undefined
    this.#requests = 0
  }

  #carry(near: Socket, port: number): void {
    if (this.#isCut) return void near.destroy()
    const far = connect(port, 'localhost')
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one)
      one.on('error', () => undefined).once('close', () => other.destroy())
    }
    const passes = this.#watch()
    follow(near, far, (record) => passes(record, 'request'))
    follow(far, near, (record) => passes(record, 'answer'))
  }

  /** Of one connection: whether a record may go on. */
  #watch(): (record: TlsRecord, place: Place) => boolean {
    let isOpen = false
    let fromServer = 0
    let isAsking = false
    let isHeld = false
    return (record, place) => {
      if (isHeld) return false
      if (record[0] !== applicationData || record.length === alertLength) return true
      if (!isOpen) {
        isOpen = place === 'request' && finishedLengths.includes(record.length)
        return true
      }
      if (place === 'answer' && ++fromServer <= tickets) return true
      if (place === 'request' && !isAsking) this.#requests++
      isAsking = place === 'request'
      const stop = this.#stop
      isHeld = stop?.request === this.#requests && stop.place === place
      if (isHeld) stop?.reached()
      return !isHeld
    }
  }
}

/** Hands on the records of one direction that may pass. */
function follow(from: Socket, to: Socket, passes: (record: TlsRecord) => boolean): void {
  let rest: Buffer = Buffer.alloc(0)
  from.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    for (;;) {
      const length = rest.length < 5 ? Infinity : 5 + rest.readUInt16BE(3)
      if (rest.length < length) return
      const record = rest.subarray(0, length)
      rest = rest.subarray(length)
      if (passes(record)) to.write(record)
    }
  })
  from.on('end', () => to.end())
}
