import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { createCertificate, createCsr, createKeyPair, isNamedAs, oids, readCsrClaims, spkiOf } from '#x509'
import { der, sequence, utf8String } from '../../x509/der-writer.js'
import { subjectAltName } from '../../x509/extensions.js'
import { encodeName, type GeneralName } from '../../x509/names.js'
import { needs } from '../needs.js'
import { attribute, csrWith } from './csr-with.js'
import { deviceSpec, makeIssuing, makeRoot } from './world.js'

const pump = [{ type: oids.commonName, value: 'pump-1' }]
const pumpUri = [{ uri: 'spiffe://fleet.example/device/pump-1' }]
const asking = (...names: readonly GeneralName[]) => ({ extensions: [subjectAltName(names, false)] })

test('a request of ours claims nothing', async () => {
  const { publicKey } = createKeyPair('P-256')
  const csr = await createCsr({ spki: spkiOf(publicKey), sign: async () => Uint8Array.of(1) })
  assert.deepEqual(readCsrClaims(csr), { subject: Uint8Array.of(0x30, 0) })
})

test('what openssl puts into a request is read: subject, names and challenge password', needs('openssl'), (t) => {
  const config = [
    ...['[req]', 'prompt=no', 'distinguished_name=dn', 'attributes=more', 'req_extensions=ext'],
    ...['[dn]', 'CN=pump-1', '[more]', 'challengePassword=q83vEjRWeJ+/', '[ext]', 'subjectAltName=URI:urn:x'],
  ]
  const args = ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null']
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-csr-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'csr.cnf'), config.join('\n'))
  const csr = execFileSync('openssl', [...args, '-outform', 'DER', '-config', 'csr.cnf'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const { subject, subjectAltName, challengePassword } = readCsrClaims(csr)
  assert.deepEqual(Buffer.from(subject), Buffer.from(encodeName(pump)))
  assert.equal(Buffer.from(subjectAltName ?? []).includes('urn:x'), true)
  assert.equal(challengePassword, 'q83vEjRWeJ+/')
})

test('a request may name its holder, or nobody, and not somebody else in any way', async () => {
  const issuing = await makeIssuing(await makeRoot())
  const certificate = await createCertificate(deviceSpec('pump-1'), issuing)
  const named = (said: Parameters<typeof csrWith>[0]) => isNamedAs(readCsrClaims(csrWith(said)), certificate)
  for (const own of [{}, { subject: pump }, asking(...pumpUri), { subject: pump, ...asking(...pumpUri) }])
    assert.ok(named(own))
  const other = [{ type: oids.commonName, value: 'pump-2' }]
  for (const foreign of [
    { subject: other },
    { subject: [...pump, ...other] },
    { subject: [{ type: oids.organizationName, value: 'pump-1' }] },
    { subject: pump, ...asking({ uri: 'spiffe://fleet.example/device/pump-2' }) },
    { subject: pump, ...asking(...pumpUri, { dns: 'admin.example' }) },
    asking(),
  ]) {
    assert.ok(!named(foreign), JSON.stringify(foreign))
  }
  const nameless = await createCertificate({ ...deviceSpec('pump-1'), subjectAltName: [] }, issuing)
  assert.ok(!isNamedAs(readCsrClaims(csrWith(asking(...pumpUri))), nameless))
})

test('attributes that come twice, with two values, or are none, end in our own error', () => {
  const password = (text: string) => attribute(oids.challengePassword, utf8String(text))
  for (const attributes of [
    [password('a'), password('b')],
    [attribute(oids.challengePassword, utf8String('a'), utf8String('b'))],
    [attribute(oids.challengePassword)],
    [attribute(oids.challengePassword, der(0x1e, Uint8Array.of(0, 0x61)))], // BMPString: two octets for a letter
    [attribute(oids.challengePassword, sequence())],
    [attribute(oids.extensionRequest, utf8String('a'))],
    [attribute(oids.extensionRequest, sequence(sequence()))],
    [sequence()],
    [utf8String('a')],
  ]) {
    assert.throws(() => readCsrClaims(csrWith({ attributes })), { code: 'MALFORMED' })
  }
  const unknown = [attribute('1.2.3.4', utf8String('a'), utf8String('b')), attribute('1.2.3.4')]
  assert.deepEqual(readCsrClaims(csrWith({ attributes: unknown })), { subject: Uint8Array.of(0x30, 0) })
})

test('every truncation and every changed byte is read or ends in our own error', () => {
  const csr = csrWith({ subject: pump, ...asking(...pumpUri), challengePassword: 'AAAA' })
  const read = (bytes: Uint8Array) => {
    try {
      readCsrClaims(bytes)
    } catch (error) {
      assert.ok(['MALFORMED', 'TOO_LARGE'].includes((error as { code?: string }).code ?? ''), String(error))
    }
  }
  for (let length = 0; length < csr.length; length++) {
    assert.throws(() => readCsrClaims(csr.subarray(0, length)), { code: 'MALFORMED' })
  }
  for (let at = 0; at < csr.length; at++) {
    for (const flip of [0x01, 0x20, 0x80, 0xff]) {
      const changed = Uint8Array.from(csr)
      changed[at] = (changed[at] ?? 0) ^ flip
      read(changed)
    }
  }
})
