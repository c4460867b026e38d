import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import test from 'node:test'
import { createServer, type TLSSocket } from 'node:tls'
import { channelBindingLabel, encodeHex, integer, object } from '#protocol'
import { startSwtpm } from '#simulators'
import { openTpm } from '#tpm'
import { createCertificate, createKeyPair, encodePem, oids, spkiOf } from '#x509'
import type { TlsConnection } from '../../device-agent/device-key.js'
import { ServiceConnection } from '../../device-agent/service.js'
import { TpmKey } from '../../device-agent/tpm-key.js'
import { needs } from '../needs.js'

const options = needs('swtpm', 'swtpm_setup')

test('a key that stays in the TPM signs requests and TLS 1.3 handshakes', options, async () => {
  await withTpmKey(async (key) => {
    const data = Buffer.from('to be signed')
    const publicKey = createPublicKey({ key: Buffer.from(key.spki), format: 'der', type: 'spki' })
    assert.ok(verify('sha256', data, publicKey, await key.sign(data)))

    const { connection, served } = await connected(key)
    const echoed = once(connection.stream, 'data')
    connection.stream.write('over TLS')
    assert.equal(String((await echoed)[0]), 'over TLS')
    assert.equal(served.getPeerX509Certificate()?.subject, 'CN=chip')
    assert.equal(served.getProtocol(), 'TLSv1.3')

    const ours = encodeHex(await connection.exportKeyingMaterial(32, channelBindingLabel))
    assert.equal(ours, served.exportKeyingMaterial(32, channelBindingLabel, Buffer.alloc(0)).toString('hex'))
  })
})

test('request after request goes over one connection of a key in the TPM', options, async () => {
  await withTpmKey(async (key) => {
    const { connection } = await connected(key, { serve: answering })
    const service = new ServiceConnection(connection, { host: '127.0.0.1', port: 0 })
    const route = { method: 'POST', path: '/' }
    for (let asked = 1; asked <= 3; asked++) assert.deepEqual(await service.send(route, count, {}), { count: asked })
    service.close()
  })
})

test('a burst larger than any buffer arrives whole through the TLS thread', options, async () => {
  await withTpmKey(async (key) => {
    const { connection } = await connected(key)
    const sent = Buffer.alloc(3_000_000, 'touchmark')
    connection.stream.end(sent)
    const received: Buffer[] = []
    for await (const chunk of connection.stream) received.push(chunk as Buffer)
    assert.ok(Buffer.concat(received).equals(sent))
  })
})

test('a connection ends at both ends when either of them, or the key, is closed', options, async () => {
  await withTpmKey(async (key) => {
    const first = await connected(key)
    first.served.destroy()
    await closed(first.connection.stream)

    const second = await connected(key)
    const ended = closed(second.served)
    second.connection.stream.destroy()
    await ended

    const third = await connected(key)
    const cut = closed(third.connection.stream)
    await key.close()
    await cut
  })
})

test('a server that the agent does not trust gets no data', options, async () => {
  await withTpmKey(async (key) => {
    const untrusted = new Error('not our server')
    await assert.rejects(connected(key, { verify: () => Promise.reject(untrusted) }), untrusted)
  })
})

/** However it ends: a reset connection is closed too. */
function closed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => stream.once('close', () => resolve()))
}

/** What `connected` leaves running, ended with the key. */
const running: { close: () => void }[] = []

async function withTpmKey(use: (key: TpmKey) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'touchmark-'))
  const swtpm = await startSwtpm({ folder })
  const tpm = await openTpm(swtpm.spec)
  const key = await TpmKey.load(tpm, await tpm.createSigningKey())
  try {
    await use(key)
  } finally {
    await key.close()
    await tpm.close()
    await swtpm.stop()
    for (const server of running.splice(0)) server.close()
    await rm(folder, { recursive: true })
  }
}

interface Connecting {
  /** What the server does with a connection; default: echoes. */
  readonly serve?: (socket: TLSSocket) => void
  readonly verify?: () => Promise<void>
}

const count = object({ count: integer(1, 10) })

/** Says how many requests have come. */
function answering(socket: TLSSocket): void {
  let asked = 0
  const web = createHttpServer((request, response) => {
    request.resume().once('end', () => response.end(JSON.stringify({ count: ++asked })))
  })
  web.emit('connection', socket)
}

/** A TLS server, and a connection to it with the TPM's key and a certificate for it. */
async function connected(
  key: TpmKey,
  { serve = (socket) => void socket.pipe(socket), verify = () => Promise.resolve() }: Connecting = {},
) {
  const { certificateChain, ca, serverKey, serverCertificate } = await certificatesFor(key)
  const server = createServer(
    { key: serverKey, cert: serverCertificate, ca, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
    (socket) => {
      socket.on('error', () => undefined)
      serve(socket)
    },
  ).listen(0, '127.0.0.1')
  running.push(server)
  await once(server, 'listening')
  const secured = once(server, 'secureConnection') as Promise<[TLSSocket]>
  const { port } = server.address() as AddressInfo
  const connection: TlsConnection = await key.connect({ host: '127.0.0.1', port, ca: [ca], certificateChain, verify })
  const [served] = await secured
  return { connection, served }
}

async function certificatesFor(key: TpmKey) {
  const authority = createKeyPair('P-256')
  const server = createKeyPair('P-256')
  const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) }
  const root = await createCertificate(
    {
      subject: [{ type: oids.commonName, value: 'test root' }],
      spki: spkiOf(authority.publicKey),
      ...validity,
      authority: {},
      keyUsage: ['keyCertSign'],
    },
    authority,
  )
  const issue = (name: string, spki: Uint8Array, purpose: string) =>
    createCertificate(
      {
        subject: [{ type: oids.commonName, value: name }],
        spki,
        ...validity,
        keyUsage: ['digitalSignature'],
        extKeyUsage: [purpose],
      },
      { privateKey: authority.privateKey, certificate: root },
    )
  return {
    ca: encodePem('CERTIFICATE', root),
    certificateChain: encodePem('CERTIFICATE', await issue('chip', key.spki, oids.clientAuth)),
    serverKey: server.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    serverCertificate: encodePem('CERTIFICATE', await issue('localhost', spkiOf(server.publicKey), oids.serverAuth)),
  }
}
