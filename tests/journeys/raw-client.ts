import type { TestContext } from 'node:test'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import mqttPacket, { type Packet } from 'mqtt-packet'

/** Says to the broker exactly what it is told to, in one write, and keeps what it hears: for what a good client would not do. */
export class RawClient {
  readonly socket: TLSSocket
  readonly received: Packet[] = []
  /** Resolves when the connection has gone, for whatever reason. */
  readonly closed: Promise<void>
  readonly #waiting = new Set<() => void>()

  constructor(t: TestContext, port: number, tls: ConnectionOptions) {
    this.socket = connect({ host: 'localhost', port, servername: 'localhost', ...tls })
    t.after(() => this.socket.destroy())
    const parser = mqttPacket.parser({ protocolVersion: 4 })
    parser.on('packet', (packet) => this.#take(packet))
    this.socket.on('data', (chunk) => parser.parse(chunk))
    this.socket.on('error', () => undefined) // a connection that the broker ends is what is looked for
    this.closed = new Promise((resolve) => {
      this.socket.once('close', () => {
        resolve()
        this.#wake()
      })
    })
  }

  /** The first answer to CONNECT, or undefined when the broker ends the connection instead. */
  async open(clientId: string): Promise<Packet | undefined> {
    this.send([{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clientId, clean: true, keepalive: 60 }])
    await this.until(() => this.received.length > 0)
    return this.received[0]
  }

  /** `sent` is called when the operating system has all of it. */
  send(packets: readonly Packet[], sent?: () => void): void {
    const bytes = packets.map((packet) => mqttPacket.generate(packet, { protocolVersion: 4 }))
    this.socket.write(Buffer.concat(bytes), sent)
  }

  count(cmd: Packet['cmd']): number {
    return this.received.filter((packet) => packet.cmd === cmd).length
  }

  /** Until it holds, which is looked at after every packet, or the connection has gone. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds() && !this.socket.destroyed) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  #take(packet: Packet): void {
    this.received.push(packet)
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

/** Messages that tell themselves apart by their topics: `prefix/from`, `prefix/from+1`, … */
export function publishes(prefix: string, qos: 0 | 1, from: number, count: number): readonly Packet[] {
  return Array.from({ length: count }, (_, at) => ({
    ...{ cmd: 'publish', topic: `${prefix}/${from + at}`, payload: 'x', retain: false, dup: false, qos },
    ...(qos === 1 && { messageId: ((from + at) % 65_535) + 1 }),
  }))
}
