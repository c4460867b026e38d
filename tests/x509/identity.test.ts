import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { parseCertificateSerial, tiers } from '#protocol'
import { createCertificate, oids, readDeviceIdentity, readOperatorName, spkiHash, tierPolicyOid } from '#x509'
import { type Change, dayLater, deviceSpec, makeRoot, trustDomain } from './world.js'

const root = await makeRoot()

test('reads who a device is', async () => {
  const spec = deviceSpec('pump-7', { serial: parseCertificateSerial('00'.repeat(15) + '2a') })
  const der = await createCertificate(spec, root)
  const identity = readDeviceIdentity(der, trustDomain)
  assert.equal(identity.deviceId, 'pump-7')
  assert.equal(identity.serial, '0000000000000000000000000000002a')
  assert.equal(identity.fingerprint, createHash('sha256').update(der).digest('hex'))
  assert.equal(identity.spkiHash, spkiHash(spec.spki))
  assert.equal(identity.tier, 'tpm')
  assert.equal(identity.notBefore.toISOString(), '2026-03-01T11:55:00.000Z')
  assert.equal(identity.notAfter.getTime(), dayLater.getTime())
})

test('a serial number with its first bit set stays 32 digits', async () => {
  const serial = parseCertificateSerial('ff'.repeat(16))
  const der = await createCertificate(deviceSpec('d', { serial }), root)
  assert.equal(readDeviceIdentity(der, trustDomain).serial, serial)
})

test('every tier survives the way through a certificate', async () => {
  for (const tier of tiers) {
    const der = await createCertificate(deviceSpec('d', { certificatePolicies: [tierPolicyOid(tier)] }), root)
    assert.equal(readDeviceIdentity(der, trustDomain).tier, tier)
  }
})

const uri = `spiffe://${trustDomain}/device/pump-7`
const wrong: Readonly<Record<string, Change>> = {
  'another common name': { subject: [{ type: oids.commonName, value: 'pump-8' }] },
  'no common name': { subject: [] },
  'two common names': {
    subject: [
      { type: oids.commonName, value: 'pump-7' },
      { type: oids.commonName, value: 'pump-7' },
    ],
  },
  'another trust domain': { subjectAltName: [{ uri: 'spiffe://evil.example/device/pump-7' }] },
  'an operator’s URI': { subjectAltName: [{ uri: `spiffe://${trustDomain}/operator/pump-7` }] },
  'no alternative name': { subjectAltName: [] },
  'a second URI': { subjectAltName: [{ uri }, { uri }] },
  'a DNS name beside the URI': { subjectAltName: [{ uri }, { dns: 'pump-7' }] },
  'a URI in another letter case': { subjectAltName: [{ uri: uri.toUpperCase() }] },
  'a path below the id': { subjectAltName: [{ uri: `${uri}/x` }] },
  'no purpose': { extKeyUsage: [] },
  'a second purpose': { extKeyUsage: [oids.clientAuth, oids.serverAuth] },
  'the purpose of a server': { extKeyUsage: [oids.serverAuth] },
  'the power of a CA': { authority: {} },
  'no tier': { certificatePolicies: [oids.verifiedTpmResidency] },
  'two tiers': { certificatePolicies: [tierPolicyOid('token'), tierPolicyOid('tpm')] },
}

for (const [what, change] of Object.entries(wrong)) {
  test(`refuses a device certificate with ${what}`, async () => {
    const der = await createCertificate(deviceSpec('pump-7', change), root)
    assert.throws(() => readDeviceIdentity(der, trustDomain), { code: 'IDENTITY_INVALID' })
  })
}

test('refuses an id that is none, though name and URI agree', async () => {
  for (const id of ['..', 'a/b', 'a b', 'é', 'x'.repeat(65), '']) {
    const der = await createCertificate(deviceSpec(id), root)
    const codes = ['IDENTITY_INVALID', 'MALFORMED']
    assert.throws(
      () => readDeviceIdentity(der, trustDomain),
      (error: { code?: string }) => codes.includes(error.code ?? ''),
    )
  }
})

test('an operator is read from an operator’s certificate only', async () => {
  const subjectAltName = [{ uri: `spiffe://${trustDomain}/operator/ada` }]
  const der = await createCertificate(deviceSpec('ada', { subjectAltName, certificatePolicies: [] }), root)
  assert.equal(readOperatorName(der, trustDomain), 'ada')
  assert.throws(() => readDeviceIdentity(der, trustDomain), { code: 'IDENTITY_INVALID' })
  const device = await createCertificate(deviceSpec('ada'), root)
  assert.throws(() => readOperatorName(device, trustDomain), { code: 'IDENTITY_INVALID' })
})

test('bytes that are no certificate end in our own error, cut or changed anywhere', async () => {
  const der = await createCertificate(deviceSpec('pump-7'), root)
  for (let length = 0; length < der.length; length += 3) {
    assert.throws(() => readDeviceIdentity(der.subarray(0, length), trustDomain), { code: 'MALFORMED' })
  }
  assert.throws(() => readDeviceIdentity(Buffer.concat([der, Uint8Array.of(0)]), trustDomain), { code: 'MALFORMED' })
  assert.throws(() => readDeviceIdentity(new Uint8Array(20_000), trustDomain), { code: 'TOO_LARGE' })
  for (let at = 0; at < der.length; at++) {
    const changed = Uint8Array.from(der)
    changed[at] = (changed[at] ?? 0) ^ 0xff
    try {
      readDeviceIdentity(changed, trustDomain)
    } catch (error) {
      assert.ok(error instanceof Error && error.name === 'X509Error', String(error))
    }
  }
})
