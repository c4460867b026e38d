import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { createKeyPair, decodePem, encodePem, encodePkcs12, spkiOf } from '#x509'
import { createTestCa } from '../device-agent/service-double.js'
import { needs } from '../needs.js'

const ca = await createTestCa()
const { privateKey, publicKey } = createKeyPair('P-256')
const leaf = await ca.issueDevice(spkiOf(publicKey), 'gate-7')
const content = {
  privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }),
  certificates: [leaf, ca.issuing],
  name: 'gate-7',
}

test('openssl reads key and certificates out of it, and how it is protected', needs('openssl'), (t) => {
  for (const password of ['x', 'correct horse battery staple', ` !"#$%&'()*+,-./~`, 'p'.repeat(128)]) {
    const openssl = reading(t, encodePkcs12({ ...content, password }, randomBytes), password)
    const said = openssl('-nodes')
    assert.ok(createPrivateKey(said).equals(privateKey))
    assert.deepEqual(decodePem(said, 'CERTIFICATE').map(encode), [leaf, ca.issuing].map(encode))
    assert.match(said, /friendlyName: gate-7/)
    assert.equal(new X509Certificate(openssl('-clcerts', '-nokeys')).subject, 'CN=gate-7')
    const info = openssl('-info', '-noout')
    assert.match(info, /MAC: sha256, Iteration 10000/)
    assert.equal(info.match(/PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256/g)?.length, 2, info)
  }
})

test('another password opens nothing', needs('openssl'), (t) => {
  const openssl = reading(t, encodePkcs12({ ...content, password: 'right' }, randomBytes), 'wrong')
  const said = openssl('-nodes')
  assert.match(said, /Mac verify error/)
  assert.doesNotMatch(said, /PRIVATE KEY|CERTIFICATE/)
})

test('a password that no two programs would encode alike is refused', () => {
  for (const password of ['', 'zażółć', 'line\nbreak', 'p'.repeat(129)]) {
    assert.throws(() => encodePkcs12({ ...content, password }, randomBytes), { code: 'KEY_UNSUPPORTED' })
  }
})

function encode(der: Uint8Array): string {
  return encodePem('CERTIFICATE', der)
}

/** What openssl says of a file, on both of its outputs. */
function reading(t: TestContext, file: Uint8Array, password: string): (...args: readonly string[]) => string {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-pkcs12-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'device.p12'), file)
  writeFileSync(join(folder, 'password'), password)
  const given = ['pkcs12', '-in', join(folder, 'device.p12'), '-passin', `file:${join(folder, 'password')}`]
  return (...args) => {
    const { stdout, stderr } = spawnSync('openssl', [...given, ...args], { encoding: 'utf8' })
    return stdout + stderr
  }
}
