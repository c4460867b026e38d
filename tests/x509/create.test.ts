import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import test from 'node:test'
import { createCertificate, createKeyPair, oids, spkiOf } from '#x509'
import { needs } from '../needs.js'
import { dayLater, deviceSpec, makeIssuing, makeRoot, now, openssl, rsaPair } from './world.js'

const at = String(now.getTime() / 1000)

test('openssl accepts the chain of a device under its strictest rules', needs('openssl'), async (t) => {
  const root = await makeRoot()
  const issuing = await makeIssuing(root)
  const device = await createCertificate(deviceSpec('pump-7'), issuing)
  const files = { root: [root.certificate], issuing: [issuing.certificate], device: [device] }
  const strict = ['verify', '-x509_strict', '-purpose', 'sslclient', '-attime', at]
  const said = openssl(t, files, [...strict, '-CAfile', 'root', '-untrusted', 'issuing', 'device'])
  assert.equal(said.trim(), 'device: OK')
})

test('openssl accepts an explicit policy check for the tier of the device', needs('openssl'), async (t) => {
  const root = await makeRoot()
  const issuing = await makeIssuing(root)
  const spec = deviceSpec('pump-7')
  const device = await createCertificate(spec, issuing)
  const files = { root: [root.certificate], issuing: [issuing.certificate], device: [device] }
  const policy = ['-policy', spec.certificatePolicies?.[0] ?? '', '-explicit_policy', '-policy_check']
  const rest = ['-attime', at, '-CAfile', 'root', '-untrusted', 'issuing', 'device']
  assert.equal(openssl(t, files, ['verify', ...policy, ...rest]).trim(), 'device: OK')
})

test('openssl refuses a device of another trust domain below our issuing CA', needs('openssl'), async (t) => {
  const root = await makeRoot()
  const issuing = await makeIssuing(root)
  const uri = 'spiffe://other.example/device/pump-7'
  const device = await createCertificate(deviceSpec('pump-7', { subjectAltName: [{ uri }] }), issuing)
  const files = { root: [root.certificate], issuing: [issuing.certificate], device: [device] }
  const args = ['verify', '-attime', at, '-CAfile', 'root', '-untrusted', 'issuing', 'device']
  assert.throws(() => openssl(t, files, args), /permitted subtree violation/)
})

test('openssl prints the profile of a device as we mean it', needs('openssl'), async (t) => {
  const root = await makeRoot()
  const issuing = await makeIssuing(root)
  const device = await createCertificate(deviceSpec('pump-7'), issuing)
  const text = openssl(t, { device: [device] }, ['x509', '-in', 'device', '-noout', '-text'])
  for (const line of [
    /Version: 3/,
    /Subject: CN = pump-7/,
    /Basic Constraints: critical\s+CA:FALSE/,
    /Key Usage: critical\s+Digital Signature\n/,
    /Extended Key Usage: \s+TLS Web Client Authentication\n/,
    /Subject Alternative Name: \s+URI:spiffe:\/\/fleet.example\/device\/pump-7\n/,
    /Policy: 2\.25\.72768793208557636418306364080105205440\.1\.3\n/,
    /Policy: 2\.23\.133\.11\.1\.1\n/,
    /2\.5\.29\.56|No Revocation Available/,
    /Not Before: Mar {2}1 11:55:00 2026 GMT/,
    /Not After : Mar {2}2 11:55:00 2026 GMT/,
  ]) {
    assert.match(text, line)
  }
})

test('node reads what we write, and chains by key identifiers', async () => {
  const root = await makeRoot()
  const issuing = new X509Certificate((await makeIssuing(root)).certificate)
  assert.equal(issuing.ca, true)
  assert.equal(issuing.checkIssued(new X509Certificate(root.certificate)), true)
  assert.equal(issuing.verify(new X509Certificate(root.certificate).publicKey), true)
})

test('every serial number is its own, positive and of at most 128 bits', async () => {
  const root = await makeRoot()
  const serials = new Set<string>()
  for (let count = 0; count < 20; count++) {
    const { serialNumber } = new X509Certificate(await createCertificate(deviceSpec('d'), root))
    assert.match(serialNumber, /^[0-9A-F]{1,32}$/)
    serials.add(serialNumber)
  }
  assert.equal(serials.size, 20)
})

test('times from 2050 on are written as RFC 5280 wants them', needs('openssl'), async (t) => {
  const forever = new Date('9999-12-31T23:59:59Z')
  const root = await makeRoot({ notAfter: forever })
  const text = openssl(t, { root: [root.certificate] }, ['x509', '-in', 'root', '-noout', '-dates'])
  assert.match(text, /notAfter=Dec 31 23:59:59 9999 GMT/)
})

test('server names of every kind reach the certificate', async () => {
  const root = await makeRoot()
  const names = [{ dns: 'localhost' }, { ip: '127.0.0.1' }, { ip: '::1' }, { ip: '2001:db8::ffff:1.2.3.4' }]
  const spec = deviceSpec('server', { extKeyUsage: [oids.serverAuth], subjectAltName: names })
  const server = new X509Certificate(await createCertificate(spec, root))
  const expected =
    'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:FFFF:102:304'
  assert.equal(server.subjectAltName, expected)
  assert.equal(server.checkIP('::1'), '::1')
})

test(
  'an EK certificate of a simulated maker has an empty subject and a critical directory name',
  needs('openssl'),
  async (t) => {
    const root = await makeRoot({}, rsaPair(2048))
    const tpm = [
      { type: oids.tpmManufacturer, value: 'id:53494D00' },
      { type: oids.tpmModel, value: 'simulated' },
      { type: oids.tpmVersion, value: 'id:00010000' },
    ]
    const spec = {
      subject: [],
      spki: spkiOf(createKeyPair('P-384').publicKey),
      notBefore: now,
      notAfter: dayLater,
      keyUsage: ['keyAgreement'] as const,
      extKeyUsage: [oids.ekCertificate],
      subjectAltName: [{ directory: tpm }],
      extensions: [{ oid: '2.5.29.9', critical: false, der: Uint8Array.of(0x30, 0x00) }],
    }
    const files = { root: [root.certificate], ek: [await createCertificate(spec, root)] }
    assert.match(openssl(t, files, ['verify', '-attime', at, '-CAfile', 'root', 'ek']), /ek: OK/)
    const text = openssl(t, files, ['x509', '-in', 'ek', '-noout', '-text'])
    assert.match(text, /Subject: \n/)
    assert.match(text, /Alternative Name: critical\s+DirName:\/?2\.23\.133\.2\.1 ?= ?id:53494D00/)
  },
)
