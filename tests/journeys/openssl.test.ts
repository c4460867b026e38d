import assert from 'node:assert/strict'
import test from 'node:test'
import type { Stage, StageDevice } from '../../demo/stage.js'
import { needs } from '../needs.js'
import { enroll, filesOf, openStage, runForeign } from './world.js'

const options = needs('openssl')

test('openssl accepts the chain that the agent wrote, strictly, and for a TLS client only', options, async (t) => {
  const stage = await openStage(t)
  const { ca, cert } = filesOf(await enroll(stage, 'thermo-1'))
  const verify = (purpose: string) =>
    openssl('verify', '-x509_strict', '-purpose', purpose, '-CAfile', ca, '-untrusted', cert, cert)
  const asClient = await verify('sslclient')
  assert.deepEqual([asClient.exitCode, asClient.stdout.trim()], [0, `${cert}: OK`], asClient.stderr)
  assert.notEqual((await verify('sslserver')).exitCode, 0)
  assert.notEqual((await openssl('verify', '-CAfile', cert, cert)).exitCode, 0) // the issuing CA is no root
})

test('openssl reads the profile that the certificate of a device has to have', options, async (t) => {
  const stage = await openStage(t)
  const { cert } = filesOf(await enroll(stage, 'thermo-1'))
  const { stdout: text } = await openssl('x509', '-in', cert, '-noout', '-text')
  for (const [what, expected] of profile) assert.match(text, expected, what)
  for (const absent of ['CRL Distribution Points', 'Authority Information Access', 'hardwareModuleName', 'DNS:']) {
    assert.ok(!text.includes(absent), absent)
  }
  const day = 24 * 60 * 60
  assert.equal((await openssl('x509', '-in', cert, '-noout', '-checkend', String(day - 10 * 60))).exitCode, 0)
  assert.equal((await openssl('x509', '-in', cert, '-noout', '-checkend', String(day))).exitCode, 1)
})

/** What `openssl x509 -text` says of each part. */
const profile: readonly (readonly [what: string, expected: RegExp])[] = [
  ['version', /Version: 3 \(0x2\)/],
  ['128-bit serial number', /Serial Number:\n\s+([0-9a-f]{2}:){15}[0-9a-f]{2}\n/],
  ['ECDSA with SHA-256', /Signature Algorithm: ecdsa-with-SHA256/],
  ['common name', /Subject: CN ?= ?thermo-1\n/],
  ['P-256', /NIST CURVE: P-256/],
  ['no authority', /X509v3 Basic Constraints: critical\n\s+CA:FALSE\n/],
  ['key usage', /X509v3 Key Usage: critical\n\s+Digital Signature\n/],
  ['extended key usage', /X509v3 Extended Key Usage: ?\n\s+TLS Web Client Authentication\n/],
  ['one name', /X509v3 Subject Alternative Name: ?\n\s+URI:spiffe:\/\/touchmark\.local\/device\/thermo-1\n/],
  ['subject key identifier', /X509v3 Subject Key Identifier: ?\n\s+[0-9A-F:]+\n/],
  ['authority key identifier', /X509v3 Authority Key Identifier: ?\n\s+(keyid:)?[0-9A-F:]+\n/],
  ['tier', /X509v3 Certificate Policies: ?\n\s+Policy: [0-9.]+\n/],
  ['short-lived, no revocation (RFC 9608)', /(X509v3 No Revocation Available|2\.5\.29\.56): ?\n/],
]

test('the MQTT port offers TLS 1.2 and 1.3 with AEAD suites only', options, async (t) => {
  const stage = await openStage(t)
  const device = await enroll(stage, 'thermo-1')
  const everything = 'ALL:COMPLEMENTOFALL:@SECLEVEL=0'
  for (const version of ['-tls1', '-tls1_1']) {
    assert.equal(await suiteOf(stage, device, version, '-cipher', everything), undefined, version)
  }
  const offered: string[] = []
  for (;;) {
    const others = [everything, ...offered.map((suite) => `!${suite}`)].join(':')
    const suite = await suiteOf(stage, device, '-tls1_2', '-cipher', others)
    if (suite === undefined) break
    offered.push(suite)
  }
  assert.ok(offered.length > 0)
  for (const suite of offered) assert.match(suite, /^ECDHE-ECDSA-.*(GCM|POLY1305|CCM)/)
  assert.match((await suiteOf(stage, device, '-tls1_3')) ?? 'none', /^TLS_.*(GCM|POLY1305)/)
})

/** The suite of a handshake, or undefined where the broker refuses what the client offers. */
async function suiteOf(stage: Stage, device: StageDevice, ...offer: readonly string[]): Promise<string | undefined> {
  const { ca, cert, key } = filesOf(device)
  const identity = ['-CAfile', ca, '-verify_return_error', '-cert', cert, '-cert_chain', cert, '-key', key]
  const broker = ['-connect', `localhost:${stage.ports.mqtt}`, '-servername', 'localhost']
  const { exitCode, stderr } = await openssl('s_client', ...broker, ...identity, '-brief', ...offer)
  return exitCode === 0 ? /^Ciphersuite: (\S+)$/m.exec(stderr)?.[1] : undefined
}

function openssl(...args: readonly string[]) {
  return runForeign('openssl', args)
}
