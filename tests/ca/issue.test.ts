import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import test from 'node:test'
import { parseOperatorName } from '#protocol'
import { RegistryError } from '#registry'
import { encodePem, fingerprintOf, readDeviceIdentity, readOperatorName, spkiHash, verifyPath } from '#x509'
import { needs } from '../needs.js'
import { by, hour } from '../registry/world.js'
import * as ca from './world.js'

const minute = 60 * 1000

test('openssl accepts a device under its strictest rules and shows the profile', needs('openssl'), async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const device = await ca.joinByTpm(world, authority, 'ek-1')
  const files = {
    device: encodePem('CERTIFICATE', device.der),
    issuing: authority.issuing.pem,
    root: authority.root.pem,
  }
  const at = ['-attime', String(world.now() / 1000)]
  const strict = ['verify', '-x509_strict', '-purpose', 'sslclient', ...at, '-CAfile', 'root', '-untrusted', 'issuing']
  assert.equal(ca.openssl(world, files, [...strict, 'device']).trim(), 'device: OK')

  const text = ca.openssl(world, files, ['x509', '-in', 'device', '-noout', '-text'])
  for (const line of [
    new RegExp(`Subject: CN = ${device.deviceId}\n`),
    new RegExp(`URI:spiffe://fleet.example/device/${device.deviceId}\n`),
    /Basic Constraints: critical\s+CA:FALSE/,
    /Key Usage: critical\s+Digital Signature\n/,
    /Extended Key Usage: \s+TLS Web Client Authentication\n/,
    /Policy: 2\.25\.\d+\.1\.3\n\s+Policy: 2\.23\.133\.11\.1\.1\n\s+Policy: 2\.23\.133\.11\.1\.2\n/,
    /2\.5\.29\.56|No Revocation Available/,
  ]) {
    assert.match(text, line)
  }
  const issuing = ca.openssl(world, files, ['x509', '-in', 'issuing', '-noout', '-text'])
  for (const line of [
    /CA:TRUE, pathlen:0/,
    /Key Usage: critical\s+Certificate Sign, CRL Sign/,
    /Policy: X509v3 Any Policy/,
    /Name Constraints: critical\s+Permitted:\s+URI:fleet.example/,
  ]) {
    assert.match(issuing, line)
  }
})

test('a device certificate lives 24 hours, five minutes of them in the past', async (t) => {
  const world = await ca.createCaWorld(t)
  const device = await ca.joinByToken(world, await world.openCa(), 't1')
  assert.equal(device.notBefore.getTime(), world.now() - 5 * minute)
  assert.equal(device.notAfter.getTime(), world.now() - 5 * minute + 24 * hour)
})

test('the facts of what was issued are those in the certificate', async (t) => {
  const world = await ca.createCaWorld(t)
  const device = await ca.joinByToken(world, await world.openCa(), 't1')
  const { deviceId, serial, fingerprint, spkiHash, tier, notBefore, notAfter } = device
  const read = readDeviceIdentity(device.der, ca.trustDomain)
  assert.deepEqual(read, { deviceId, serial, fingerprint, spkiHash, tier, notBefore, notAfter })
  assert.equal(world.registry.admit(read).admitted, true)
})

test('a profile’s own lifetime is kept to, and a long one claims no short life', needs('openssl'), async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa({ deviceLifetimeSeconds: () => 7 * 24 * 3600 })
  const device = await ca.joinByToken(world, authority, 't1')
  assert.equal(device.notAfter.getTime() - device.notBefore.getTime(), 7 * 24 * hour)
  const files = { device: encodePem('CERTIFICATE', device.der) }
  const text = ca.openssl(world, files, ['x509', '-in', 'device', '-noout', '-text'])
  assert.doesNotMatch(text, /2\.5\.29\.56|No Revocation Available/)
})

test('a very short life is not eaten up by backdating', async (t) => {
  const world = await ca.createCaWorld(t)
  const device = await ca.joinByToken(world, await world.openCa({ deviceLifetimeSeconds: () => 300 }), 't1')
  assert.ok(device.notAfter.getTime() - world.now() > 4 * minute)
})

test('refuses lifetimes out of range', async (t) => {
  const world = await ca.createCaWorld(t)
  for (const seconds of [299, 7 * 24 * 3600 + 1, Number.NaN, Infinity]) {
    const authority = await world.openCa({ deviceLifetimeSeconds: () => seconds })
    await assert.rejects(ca.joinByToken(world, authority, `t${seconds}`), { code: 'LIFETIME_INVALID' })
  }
})

test('no certificate outlives its issuer, and an expired issuer signs nothing', async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  world.clock.now = authority.issuing.validity.notAfter - hour
  const device = await ca.joinByToken(world, authority, 't1')
  assert.equal(device.notAfter.getTime(), authority.issuing.validity.notAfter)
  world.clock.now += hour
  await assert.rejects(ca.joinByToken(world, authority, 't2'), { code: 'ISSUER_EXPIRED' })
})

test('the same credential and key get the same certificate again', async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const token = await ca.tokenFor(world, 't1')
  const attestation = ca.attestedKey(ca.newSpki(), { token: 't1' })
  const first = await authority.issue(attestation, { token })
  const again = await authority.issue(attestation, { token })
  assert.deepEqual(again, first)
})

test('two joins at once with one token and one key end with one certificate', async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const token = await ca.tokenFor(world, 't1')
  const attestation = ca.attestedKey(ca.newSpki(), { token: 't1' })
  const [one, two] = await Promise.all([
    authority.issue(attestation, { token }),
    authority.issue(attestation, { token }),
  ])
  assert.equal(one.fingerprint, two.fingerprint)
  assert.equal(world.audit.records.filter(({ event }) => event === 'device.enroll').length, 1)
})

test('of two keys at once on one single-use token exactly one joins', async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const token = await ca.tokenFor(world, 't1')
  const join = () => authority.issue(ca.attestedKey(ca.newSpki(), { token: 't1' }), { token })
  const results = await Promise.allSettled([join(), join()])
  const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))
  assert.equal(refused.length, 1)
  assert.ok(refused[0] instanceof RegistryError && refused[0].code === 'TOKEN_SPENT')
})

test('a repeat is not answered before the first is durable', async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const token = await ca.tokenFor(world, 't1')
  const attestation = ca.attestedKey(ca.newSpki(), { token: 't1' })
  world.audit.hold()
  const order: string[] = []
  const recorded = new Promise<void>((resolve) => world.audit.onDurable(() => resolve(void order.push('durable'))))
  const answers = [authority.issue(attestation, { token }), authority.issue(attestation, { token })]
  const all = Promise.all(answers.map((answer) => answer.then(() => order.push('answer'))))
  world.audit.release()
  await Promise.all([recorded, all])
  assert.deepEqual(order, ['durable', 'answer', 'answer'])
})

test('a renewal with the same key keeps its tier and repeats no claim about the TPM', async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const spki = ca.newSpki()
  const joined = await ca.joinByTpm(world, authority, 'ek-1', spki)
  world.clock.now += 13 * hour
  const renewed = await authority.renew(ca.identityOf(joined), spki)
  assert.equal(renewed.tier, 'tpm')
  assert.equal(renewed.deviceId, joined.deviceId)
  assert.notEqual(renewed.serial, joined.serial)
  const residency = Buffer.from('6781050b0101', 'hex') // 2.23.133.11.1.1
  assert.equal(Buffer.from(joined.der).includes(residency), true)
  assert.equal(Buffer.from(renewed.der).includes(residency), false)
})

test('a TPM device cannot renew with a key that nobody certified', async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const joined = await ca.joinByTpm(world, authority, 'ek-1')
  await assert.rejects(authority.renew(ca.identityOf(joined), ca.newSpki()), { code: 'KEY_NOT_CERTIFIED' })
})

test('a token device renews with a new key, and a second time at once with the same one', async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const joined = await ca.joinByToken(world, authority, 't1')
  const spki = ca.newSpki()
  const renew = () => authority.renew(ca.identityOf(joined), spki)
  const [one, two] = await Promise.all([renew(), renew()])
  assert.equal(one.spkiHash, spkiHash(spki))
  assert.equal(one.fingerprint, two.fingerprint)
  assert.equal(one.tier, 'token')
})

test('a revoked device gets nothing more', async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const spki = ca.newSpki()
  const joined = await ca.joinByToken(world, authority, 't1', spki)
  await world.registry.revokeDevice(joined.deviceId, { ...by, reason: 'keyCompromise' }).done
  await assert.rejects(authority.renew(ca.identityOf(joined), spki), { code: 'DEVICE_REVOKED' })
})

test('our own path check accepts what we issue', async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const { der: leaf } = await ca.joinByToken(world, authority, 't1')
  const request = { leaf, intermediates: [authority.issuing.der], anchors: [authority.root.der] }
  assert.equal(verifyPath({ ...request, at: new Date(world.now()), purpose: 'device' }).path.length, 3)
})

test('a server certificate names its hosts and carries the root along', async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const { chainPem, privateKeyPem } = await authority.issueServer(['broker.example', '127.0.0.1', '::1'])
  const leaf = new X509Certificate(chainPem)
  assert.equal(leaf.checkHost('broker.example'), 'broker.example')
  assert.equal(leaf.checkIP('127.0.0.1'), '127.0.0.1')
  assert.equal(chainPem.match(/BEGIN CERTIFICATE/g)?.length, 3)
  assert.ok(chainPem.endsWith(authority.root.pem))
  assert.match(privateKeyPem, /^-----BEGIN PRIVATE KEY-----/)
})

test('refuses hosts that are none', async (t) => {
  const authority = await (await ca.createCaWorld(t)).openCa()
  for (const hosts of [[], [''], ['a b'], ['-a'], ['a\0.example'], ['x'.repeat(300)], ['spiffe://x']]) {
    await assert.rejects(authority.issueServer(hosts), { code: 'HOST_INVALID' })
  }
})

test('openssl accepts operator and server under its strictest rules', needs('openssl'), async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const operator = await authority.issueOperator(parseOperatorName('ada'), { spki: ca.newSpki() })
  const server = await authority.issueServer(['localhost'])
  const files = {
    root: authority.root.pem,
    issuing: authority.issuing.pem,
    operator: operator.chainPem,
    server: server.chainPem,
  }
  const at = ['-attime', String(world.now() / 1000)]
  const strict = ['verify', '-x509_strict', ...at, '-CAfile', 'root', '-untrusted', 'issuing', '-purpose']
  assert.match(ca.openssl(world, files, [...strict, 'sslclient', 'operator']), /operator: OK/)
  assert.match(ca.openssl(world, files, [...strict, 'sslserver', 'server']), /server: OK/)
})

test('an operator is admitted by the fingerprint that the registry holds, for as long as asked', async (t) => {
  const world = await ca.createCaWorld(t)
  const authority = await world.openCa()
  const operator = await authority.issueOperator(parseOperatorName('ada'), {
    spki: ca.newSpki(),
    ttlSeconds: 3600,
  })
  const der = new X509Certificate(operator.certificatePem).raw
  assert.equal(readOperatorName(der, ca.trustDomain), 'ada')
  assert.equal(world.registry.admitOperator(fingerprintOf(der)), 'ada')
  world.clock.now += hour
  assert.equal(world.registry.admitOperator(fingerprintOf(der)), undefined)
})
