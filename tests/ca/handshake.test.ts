import assert from 'node:assert/strict'
import type { KeyObject } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import test, { type TestContext } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import type { CertificateAuthority } from '#ca'
import { createKeyPair, encodePem, readDeviceIdentity, spkiOf } from '#x509'
import { attestedKey, createCaWorld, tokenFor, trustDomain } from './world.js'

/*
 * Node's TLS checks at the time of the machine, so here the clock of the world is the machine's.
 */

test('a device that knows the root and a service that asks for certificates find each other', async (t) => {
  const { authority, join } = await createWorldOfToday(t)
  const { key, der } = await join('t1')
  const peer = await handshake(t, authority, {
    key,
    cert: [encodePem('CERTIFICATE', der), ...authority.chain].join(''),
  })
  assert.deepEqual(readDeviceIdentity(peer, trustDomain).deviceId, readDeviceIdentity(der, trustDomain).deviceId)
})

test('a certificate of before connects with the chain of after the issuing CA’s renewal', async (t) => {
  const { authority, join } = await createWorldOfToday(t)
  const { key, der } = await join('t1')
  await authority.renewIssuing()
  const cert = [encodePem('CERTIFICATE', der), ...authority.chain].join('')
  assert.deepEqual(new Uint8Array(await handshake(t, authority, { key, cert })), der)
})

test('a device of another CA of the same trust domain gets no connection', async (t) => {
  const [{ authority }, other] = [await createWorldOfToday(t), await createWorldOfToday(t)]
  const { key, der } = await other.join('t1')
  const cert = [encodePem('CERTIFICATE', der), ...other.authority.chain].join('')
  await assert.rejects(handshake(t, authority, { key, cert }))
})

async function createWorldOfToday(t: TestContext) {
  const world = await createCaWorld(t)
  world.clock.now = Date.now()
  const authority = await world.openCa()
  const join = async (id: string): Promise<{ key: KeyObject; der: Uint8Array }> => {
    const { privateKey, publicKey } = createKeyPair('P-256')
    const token = await tokenFor(world, id)
    const { der } = await authority.issue(attestedKey(spkiOf(publicKey), { token: id }), { token })
    return { key: privateKey, der }
  }
  return { authority, join }
}

/** Both ends check the other; resolves with the certificate that the service saw. */
async function handshake(
  t: TestContext,
  authority: CertificateAuthority,
  client: { readonly key: KeyObject; readonly cert: string },
): Promise<Buffer> {
  const { privateKeyPem, chainPem } = await authority.issueServer(['localhost'])
  const ca = authority.root.pem
  const server = createServer({ key: privateKeyPem, cert: chainPem, ca, requestCert: true, minVersion: 'TLSv1.3' })
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo

  const key = client.key.export({ format: 'pem', type: 'pkcs8' }).toString()
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca, key, cert: client.cert })
  t.after(() => socket.destroy())
  socket.on('error', () => undefined) // a refusal is judged where it is made: at the service
  const refused = once(server, 'tlsClientError').then(([error]) => Promise.reject(error as Error))
  const [accepted] = (await Promise.race([once(server, 'secureConnection'), refused])) as [TLSSocket]
  t.after(() => accepted.destroy())
  assert.equal(socket.authorized || (await once(socket, 'secureConnect').then(() => socket.authorized)), true)
  return accepted.getPeerCertificate().raw
}
