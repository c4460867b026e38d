import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test from 'node:test'
import { createCertificate, createKeyPair, decodePem, encodePem, oids } from '#x509'
import { withIssuers } from '../../../broker/listeners/server-chain.js'
import { needs } from '../../needs.js'
import { type Authority, deviceSpec, makeIssuing, makeRoot } from '../../x509/world.js'
import { makeWorld } from '../harness.js'

const root = await makeRoot()
const issuing = await makeIssuing(root)

test('a server that comes alone is shown with those that have issued it', async () => {
  const server = await makeServer(issuing)
  const unrelated = await makeIssuing(await makeRoot(), { subject: [{ type: oids.commonName, value: 'another' }] })
  const known = [unrelated.certificate, root.certificate, issuing.certificate]
  assert.deepEqual(chainOf(server, known), [server, issuing.certificate, root.certificate])
  assert.deepEqual(chainOf(server, [issuing.certificate]), [server, issuing.certificate])
  assert.deepEqual(chainOf(server, [root.certificate]), [server])
  assert.deepEqual(chainOf(root.certificate, known), [root.certificate])
})

test('a CA that has the name of the issuer and not its key is not shown', async () => {
  const server = await makeServer({ ...issuing, privateKey: createKeyPair('P-256').privateKey })
  assert.deepEqual(chainOf(server, [issuing.certificate]), [server])
})

test('a chain that is given is shown as it is', async () => {
  const given = pem(await makeServer(issuing)) + pem(issuing.certificate)
  assert.equal(withIssuers(given, [pem(root.certificate)]), given)
})

test('openssl: a client gets the chain at the handshake', needs('openssl'), async (t) => {
  const { port, ca } = await makeWorld(t)
  const output = await new Promise<string>((resolve) => {
    const asked = ['s_client', '-connect', `127.0.0.1:${port}`, '-showcerts']
    const child = execFile('openssl', asked, (_error, stdout) => resolve(stdout))
    child.stdin?.on('error', () => undefined)
    child.stdin?.end()
  })
  const [, issuer, ...more] = decodePem(output, 'CERTIFICATE')
  assert.deepEqual([issuer], decodePem(ca, 'CERTIFICATE'))
  assert.ok(more.length <= 1) // that of the server once more, in the session
})

function chainOf(server: Uint8Array, authorities: readonly Uint8Array[]): readonly Uint8Array[] {
  return decodePem(withIssuers(pem(server), [authorities.map(pem).join('')]), 'CERTIFICATE')
}

async function makeServer(issuer: Authority): Promise<Uint8Array> {
  const change = { extKeyUsage: [oids.serverAuth], subjectAltName: [{ dns: 'localhost' }] }
  return createCertificate(deviceSpec('server', change), issuer)
}

function pem(der: Uint8Array): string {
  return encodePem('CERTIFICATE', der)
}
