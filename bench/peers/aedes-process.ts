import { readFileSync } from 'node:fs'
import { createServer, TLSSocket } from 'node:tls'
import { join } from 'node:path'
import { Aedes, type Client } from 'aedes'
import { BufferedLines } from './buffered-lines.js'
import { rightsOf } from './plain-rights.js'
import { type Ended, type Given, serveBenchmark } from './node-broker.js'

/* aedes as its documentation shows it, with what a fleet needs around it. It keeps what waits in memory only. */

const [, , folder = ''] = process.argv
const { tls } = JSON.parse(readFileSync(join(folder, 'given.json'), 'utf8')) as Given
const log = new BufferedLines(join(folder, 'aedes.log'))
let sequence = 0

function record(event: 'publish' | 'deliver', client: string, topic: string, qos: number, size: number): void {
  const time = new Date().toISOString()
  log.write(JSON.stringify({ sequence: sequence++, time, event, client, topic, qos, size }))
}

function isNamed({ id, conn }: Client): boolean {
  return conn instanceof TLSSocket && conn.getPeerCertificate().subject.CN === id
}

const aedes = await Aedes.createBroker({
  authenticate: (client, _username, _password, done) => done(null, isNamed(client)),
  authorizePublish: (client, packet, done) => {
    if (!client || !rightsOf(client.id).mayPublish(packet.topic)) return done(new Error('not authorized'))
    record('publish', client.id, packet.topic, packet.qos, packet.payload.length)
    done(null)
  },
  authorizeSubscribe: (client, subscription, done) => {
    done(null, rightsOf(client.id).maySubscribe(subscription.topic) ? subscription : null)
  },
  authorizeForward: (client, packet) => {
    if (!rightsOf(client.id).mayReceive(packet.topic)) return null
    record('deliver', client.id, packet.topic, packet.qos, packet.payload.length)
    return packet
  },
})
const server = createServer(
  { ...tls, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3', noDelay: true },
  (socket) => aedes.handle(socket),
)
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new TypeError('a TCP listener has a port')
  serveBenchmark(address.port, end)
})

async function end(): Promise<Ended> {
  server.close()
  await new Promise<void>((resolve) => aedes.close(resolve))
  await log.close()
  return { records: sequence }
}
