import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import test from 'node:test'
import { createCertificate, decodePem, encodeCertsOnly, encodeCsrAttributes } from '#x509'
import { readSequence, tags } from '../../x509/der-reader.js'
import { needs } from '../needs.js'
import { deviceSpec, makeIssuing, makeRoot } from './world.js'

test('openssl takes out of PKCS #7 the certificates that were put in, one or many', needs('openssl'), async () => {
  const issuing = await makeIssuing(await makeRoot())
  const leaves = await Promise.all(['a', 'b', 'c'].map((id) => createCertificate(deviceSpec(id), issuing)))
  for (const certificates of [leaves.slice(0, 1), [issuing.certificate, ...leaves]]) {
    const input = encodeCertsOnly(certificates)
    const text = execFileSync('openssl', ['pkcs7', '-inform', 'DER', '-print_certs'], { input, encoding: 'utf8' })
    const found = decodePem(text, 'CERTIFICATE').map((der) => Buffer.from(der).toString('hex'))
    assert.deepEqual(found.sort(), certificates.map((der) => Buffer.from(der).toString('hex')).sort())
  }
})

test('the same certificates are the same bytes in whatever order they are given', async () => {
  const root = await makeRoot()
  const issuing = await makeIssuing(root)
  const [one, other] = [root.certificate, issuing.certificate]
  assert.deepEqual(encodeCertsOnly([one, other]), encodeCertsOnly([other, one]))
})

test('what a CSR should hold is written as RFC 7030 §4.5.2 has it', () => {
  const wanted = readSequence(encodeCsrAttributes())
  assert.equal(hex(wanted.next(tags.oid).raw), '06092a864886f70d010907') // challengePassword, as in the RFC's example
  const key = wanted.sequence()
  assert.equal(hex(key.next(tags.oid).raw), '06072a8648ce3d0201') // id-ecPublicKey
  assert.equal(hex(key.next(tags.set).content), '06082a8648ce3d030107') // secp256r1
  key.end()
  assert.equal(hex(wanted.next(tags.oid).raw), '06082a8648ce3d040302') // ecdsa-with-SHA256
  wanted.end()
})

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
