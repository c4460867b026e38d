import { X509Certificate } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import mqttPacket, { type IConnectPacket, type Packet } from 'mqtt-packet'
import { encodePem } from '#x509'
import type { TestCa } from './service-double.js'

export interface TestConnect {
  readonly packet: IConnectPacket
  readonly certificate: X509Certificate
  readonly socket: TLSSocket
}

export interface TestBroker {
  readonly port: number
  readonly connects: TestConnect[]
  readonly published: string[]
  close(): Promise<void>
}

/** Speaks MQTT 5. Answers CONNECT with the reason code that the test says, and whatever else politely. */
export async function startBroker(
  ca: TestCa,
  reasonCode: (connect: TestConnect) => number = () => 0,
): Promise<TestBroker> {
  const connects: TestConnect[] = []
  const published: string[] = []
  const sockets = new Set<TLSSocket>()
  const server = createServer(
    {
      ...(await ca.issueServer()),
      ca: encodePem('CERTIFICATE', ca.root),
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
    },
    (socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined).once('close', () => sockets.delete(socket))
      const parser = mqttPacket.parser({ protocolVersion: 5 })
      parser.on('packet', (packet) => {
        answer(packet, socket)
      })
      socket.on('data', (chunk) => parser.parse(chunk))
    },
  )

  function answer(packet: Packet, socket: TLSSocket): void {
    const send = (reply: Packet): void => void socket.write(mqttPacket.generate(reply, { protocolVersion: 5 }))
    if (packet.cmd === 'connect') {
      const certificate = socket.getPeerX509Certificate()
      if (certificate === undefined) return void socket.destroy()
      const connect = { packet, certificate, socket }
      connects.push(connect)
      const code = reasonCode(connect)
      send({ cmd: 'connack', reasonCode: code, sessionPresent: false })
      if (code !== 0) socket.end()
    }
    if (packet.cmd === 'publish') {
      published.push(`${packet.topic} ${packet.payload.toString()}`)
      if (packet.topic === 'denied') return void socket.destroy()
      if (packet.qos === 1 && packet.messageId !== undefined) send({ cmd: 'puback', messageId: packet.messageId })
    }
    if (packet.cmd === 'subscribe' && packet.messageId !== undefined) {
      const granted = packet.subscriptions.map(({ topic }) => (topic === 'denied' ? 0x80 : 1))
      send({ cmd: 'suback', messageId: packet.messageId, granted })
      send({ cmd: 'publish', topic: 'news', payload: 'hello', qos: 0, dup: false, retain: false })
    }
    if (packet.cmd === 'pingreq') send({ cmd: 'pingresp' })
  }

  await new Promise<void>((resolve) => {
    server.listen(0, 'localhost', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    connects,
    published,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        for (const socket of sockets) socket.destroy()
      }),
  }
}
