import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect } from 'node:tls'
import test, { type TestContext } from 'node:test'
import { encodeBase64url, type JoinAnswer } from '#protocol'
import { createCsr, createKeyPair, spkiOf } from '#x509'
import { readConfig } from '../../server/config.js'
import { type OpenServer, openServer } from '../../server/wire.js'
import { RawClient } from '../journeys/raw-client.js'
import { freePorts, temporaryFolder } from './running.js'

const day = 86_400_000

interface Client {
  readonly cert: string
  readonly key: string
}

test(
  'what the issuing CA of before has signed opens everything after its renewal and a restart',
  { timeout: 30_000 },
  async (t) => {
    const world = createWorld(t)
    await (await world.open(-60.5 * day)).close()
    const before = await world.open(-0.6 * day)
    const device = await world.join(before)
    const issuer = before.status().issuer.subject
    await before.close()

    const after = await world.open(0)
    assert.notEqual(after.status().issuer.subject, issuer)
    assert.equal(await world.connack(after, device), 0)
    assert.equal(await world.status(after, world.operator()), 200)
    const renewed = await world.renew(after, device)
    assert.equal(await world.connack(after, renewed), 0)
  },
)

test(
  'a running service renews issuing CA, certificate of both listeners and operator’s credential, and goes on',
  { timeout: 30_000 },
  async (t) => {
    const world = createWorld(t)
    await (await world.open(-60.5 * day)).close()
    const server = await world.open(-0.6 * day)
    const device = await world.join(server)
    const [issuer, operator] = [server.status().issuer.subject, world.operator()]
    const shown = await world.shown(server)
    await server.renewDue()
    assert.deepEqual(await world.shown(server), shown)

    world.clock.now += 0.6 * day
    await server.renewDue()
    assert.notEqual(server.status().issuer.subject, issuer)
    const [https, mqtt] = await world.shown(server)
    assert.equal(https, mqtt)
    assert.notEqual(https, shown[0])
    assert.equal(await world.connack(server, device), 0)
    assert.equal(await world.connack(server, await world.renew(server, device)), 0)
    assert.equal(await world.status(server, operator), 200)

    world.clock.now += 21 * day
    await server.renewDue()
    assert.notEqual(world.operator().cert, operator.cert)
    assert.notEqual((await world.shown(server))[0], https)
    assert.deepEqual(world.warnings, [])
  },
)

test('what cannot be renewed is said, and the rest is renewed', { timeout: 30_000 }, async (t) => {
  const world = createWorld(t)
  const server = await world.open(0)
  const [before] = await world.shown(server)
  world.damageRootKey()
  world.clock.now += 61 * day
  await server.renewDue()
  assert.match(world.warnings.join('\n'), /^could not renew the issuing CA: /)
  assert.notEqual((await world.shown(server))[0], before)
})

/** One installation that is opened in this process at chosen times; TLS on both ends goes by the real clock. */
function createWorld(t: TestContext) {
  const opened: OpenServer[] = []
  t.after(async () => {
    for (const server of opened) await server.close()
  })
  const data = join(temporaryFolder(t), 'data')
  const clock = { now: Date.now() }
  const start = clock.now
  const warnings: string[] = []
  const inOperator = (name: string) => readFileSync(join(data, 'operator', name), 'utf8')
  const call = async (server: OpenServer, path: string, body: string | undefined, over: Partial<Client> & Headers) => {
    const { authorization, ...client } = over
    const headers = { ...(authorization && { authorization }), ...(body && { 'content-type': 'application/json' }) }
    const method = body === undefined ? 'GET' : 'POST'
    const options = { host: 'localhost', port: server.ports.https, ca: inOperator('ca.crt'), agent: false, ...client }
    const sending = request({ ...options, path, method, headers }).end(body)
    const [response] = (await once(sending, 'response')) as [import('node:http').IncomingMessage]
    return { status: response.statusCode, body: await text(response) }
  }
  const ask = async (server: OpenServer, path: string, over: Partial<Client> & Headers) => {
    const { privateKey, publicKey } = createKeyPair('P-256')
    const spki = spkiOf(publicKey)
    const csr = await createCsr({ spki, sign: async (data) => new Uint8Array(sign('sha256', data, privateKey)) })
    const answer = await call(server, path, JSON.stringify({ csr: encodeBase64url(csr) }), over)
    assert.equal(answer.status, 201, answer.body)
    const { deviceId: id, certificate, chain } = JSON.parse(answer.body) as JoinAnswer
    return {
      id,
      cert: certificate + chain.join(''),
      key: privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
    }
  }
  return {
    ...{ clock, warnings },
    async open(offset: number): Promise<OpenServer> {
      clock.now = start + offset
      const config = readConfig(['--data', data, ...freePorts], {}, '0')
      const server = await openServer(config, {
        now: () => clock.now,
        elapsed: () => performance.now(), // only what the day is changes
        warn: (line) => void warnings.push(line),
      })
      opened.push(server)
      return server
    },
    operator: (): Client => ({ cert: inOperator('operator.crt'), key: inOperator('operator.key') }),
    status: async (server: OpenServer, client: Client) => (await call(server, '/v1/status', undefined, client)).status,
    async join(server: OpenServer) {
      const made = await call(server, '/v1/tokens', '{}', this.operator())
      const { token } = JSON.parse(made.body) as { token: string }
      return ask(server, '/v1/join/token', { authorization: `Bearer ${token}` })
    },
    renew: (server: OpenServer, { cert, key }: Client) => ask(server, '/v1/renew', { cert, key }),
    /** The return code of CONNACK. */
    async connack({ ports }: OpenServer, { id, cert, key }: Client & { readonly id: string }) {
      const client = new RawClient(t, ports.mqtt, { ca: inOperator('ca.crt'), cert, key })
      const answer = await client.open(id)
      client.socket.destroy()
      return answer?.cmd === 'connack' ? answer.returnCode : undefined
    },
    /** Serial numbers of the certificates that HTTPS and MQTT show. */
    shown: async ({ ports }: OpenServer) =>
      Promise.all(
        [ports.https, ports.mqtt].map(async (port) => {
          // MQTT ends a connection without a certificate after the handshake; what it showed is known by then.
          const socket = connect({ host: 'localhost', port, rejectUnauthorized: false }).on('error', () => undefined)
          await once(socket, 'secureConnect')
          const { serialNumber } = socket.getPeerCertificate()
          socket.destroy()
          return serialNumber
        }),
      ),
    damageRootKey: () => writeFileSync(join(data, 'ca', 'root.key.pem'), 'damaged'),
  }
}

interface Headers {
  readonly authorization?: string
}
