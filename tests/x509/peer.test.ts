import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import test, { type TestContext } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { createCertificate, createKeyPair, encodePem, oids, peerCertificateOf, peerChainOf, spkiOf } from '#x509'
import { type Authority, deviceSpec, makeIssuing, makeRoot } from './world.js'

test('a client is shown the whole chain of the server, however often it asks', async (t) => {
  const { client, serverChain } = await shakeHands(t)
  assert.deepEqual(bytes(peerChainOf(client)), serverChain)
  assert.deepEqual(bytes(peerChainOf(client)), serverChain)
})

test('a server is shown the certificate of its client, or that there is none', async (t) => {
  const { served, clientChain } = await shakeHands(t)
  assert.deepEqual(bytes(peerChainOf(served)), clientChain)
  assert.deepEqual(peerCertificateOf(served), peerChainOf(served)[0])
  const stranger = await shakeHands(t, { anonymous: true })
  assert.equal(peerCertificateOf(stranger.served), undefined)
  assert.deepEqual(peerChainOf(stranger.served), [])
})

test('a connection that is gone shows nothing any more', async (t) => {
  const { client } = await shakeHands(t)
  client.destroy()
  assert.equal(peerCertificateOf(client), undefined)
  assert.deepEqual(peerChainOf(client), [])
})

interface Credential {
  readonly key: string
  /** PEM of all of the chain. */
  readonly cert: string
  readonly chain: readonly Uint8Array[]
}

/** Neither end judges what the other shows, so the certificates may be of a fixed day. */
async function shakeHands(t: TestContext, { anonymous = false } = {}) {
  const root = await makeRoot()
  const issuing = await makeIssuing(root)
  const [hub, pump] = [await makeCredential('hub', issuing, root), await makeCredential('pump-7', issuing, root)]
  const server = createServer({ key: hub.key, cert: hub.cert, requestCert: true, rejectUnauthorized: false })
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const own = anonymous ? {} : { key: pump.key, cert: pump.cert }
  const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...own })
  t.after(() => client.destroy())
  const [[accepted]] = await Promise.all([once(server, 'secureConnection'), once(client, 'secureConnect')])
  const served = accepted as TLSSocket
  t.after(() => served.destroy())
  return { client, served, serverChain: hub.chain, clientChain: pump.chain }
}

async function makeCredential(id: string, issuing: Authority, root: Authority): Promise<Credential> {
  const { privateKey, publicKey } = createKeyPair('P-256')
  const spec = deviceSpec(id, { spki: spkiOf(publicKey), extKeyUsage: [oids.serverAuth, oids.clientAuth] })
  const chain = [await createCertificate(spec, issuing), issuing.certificate, root.certificate]
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  return { key, cert: chain.map((der) => encodePem('CERTIFICATE', der)).join(''), chain }
}

/** Node gives Buffers, which are never deeply equal to other arrays of bytes. */
function bytes(chain: readonly Uint8Array[]): readonly Uint8Array[] {
  return chain.map((der) => Uint8Array.from(der))
}
