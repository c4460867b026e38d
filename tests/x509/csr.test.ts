import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import test from 'node:test'
import { createCsr, createKeyPair, decodeCsr, encodePem, spkiHash, spkiOf } from '#x509'
import { needs } from '../needs.js'
import { csrWith } from './csr-with.js'

const pair = createKeyPair('P-256')
const spki = spkiOf(pair.publicKey)

test('a request proves its key, wherever the key signs', async () => {
  const csr = await createCsr({ spki, sign: signWith(pair.privateKey) })
  const decoded = decodeCsr(csr)
  assert.deepEqual(decoded.spki, spki)
  assert.equal(decoded.spkiHash, spkiHash(spki))
  assert.equal(decoded.publicKey.equals(pair.publicKey), true)
})

test('openssl verifies our request', needs('openssl'), async () => {
  const csr = await createCsr({ spki, sign: signWith(pair.privateKey) })
  const input = encodePem('CERTIFICATE REQUEST', csr)
  execFileSync('openssl', ['req', '-verify', '-noout'], { input, stdio: ['pipe', 'ignore', 'pipe'] })
})

test('requests made by openssl are read, and the names in them passed over', needs('openssl'), () => {
  for (const key of [['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], ['ed25519']]) {
    const csr = makeWithOpenssl([...key, '-subj', '/CN=admin', '-addext', 'subjectAltName=DNS:admin.example'])
    assert.equal(decodeCsr(csr).spkiHash.length, 64)
  }
})

test('refuses other kinds of keys', needs('openssl'), () => {
  const compressed = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-pkeyopt', 'ec_conv_form:compressed']
  const explicit = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-pkeyopt', 'ec_param_enc:explicit']
  for (const key of [
    ['rsa:2048'],
    ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
    ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
    ['ed448'],
    explicit,
    ...(opensslCompresses() ? [compressed] : []),
  ]) {
    assert.throws(() => decodeCsr(makeWithOpenssl([...key, '-subj', '/'])), { code: 'KEY_UNSUPPORTED' }, key.join(' '))
  }
})

test('refuses a request signed by another key', async () => {
  const csr = await createCsr({ spki, sign: signWith(createKeyPair('P-256').privateKey) })
  assert.throws(() => decodeCsr(csr), { code: 'SIGNATURE_INVALID' })
})

test('refuses an oversized request before reading it', () => {
  assert.throws(() => decodeCsr(new Uint8Array(9000)), { code: 'TOO_LARGE' })
})

test('every truncation and every changed byte ends in our own error', async () => {
  const csr = await createCsr({ spki, sign: signWith(pair.privateKey) })
  for (let length = 0; length < csr.length; length++) refused(csr.subarray(0, length))
  for (let at = 0; at < csr.length; at++) {
    const changed = Uint8Array.from(csr)
    changed[at] = (changed[at] ?? 0) ^ 0x81
    refused(changed)
  }
  refused(Buffer.concat([csr, Uint8Array.of(0)]))
})

test('deep nesting and lying lengths cost nothing', () => {
  const deep = Buffer.alloc(8000, Uint8Array.of(0x30, 0x80))
  assert.throws(() => decodeCsr(deep), { code: 'MALFORMED' })
  assert.throws(() => decodeCsr(Uint8Array.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff)), { code: 'MALFORMED' })
  assert.throws(() => decodeCsr(Uint8Array.of(0x30, 0x81, 0x01, 0x00)), { code: 'MALFORMED' })
})

test('case 82: an RSA key of 16,384 bits is refused before anything is reckoned with it', () => {
  const modulus = Buffer.alloc(2048, 0xff).toString('base64url')
  const publicKey = createPublicKey({ key: { kty: 'RSA', n: modulus, e: 'AQAB' }, format: 'jwk' })
  const csr = csrWith({}, { privateKey: pair.privateKey, publicKey })
  assert.throws(() => decodeCsr(csr), { code: 'KEY_UNSUPPORTED' })
})

test('a point off the curve is refused', async () => {
  const off = Uint8Array.from(spki)
  off[off.length - 1] = (off.at(-1) ?? 0) ^ 1
  const csr = await createCsr({ spki: off, sign: signWith(pair.privateKey) })
  assert.throws(() => decodeCsr(csr), { code: 'MALFORMED' })
})

function refused(csr: Uint8Array): void {
  const codes = ['MALFORMED', 'KEY_UNSUPPORTED', 'SIGNATURE_UNSUPPORTED', 'SIGNATURE_INVALID']
  assert.throws(
    () => decodeCsr(csr),
    (error: { code?: string }) => codes.includes(error.code ?? ''),
  )
}

function signWith(privateKey: KeyObject): (data: Uint8Array) => Promise<Uint8Array> {
  return (data) => Promise.resolve(sign('sha256', data, privateKey))
}

function makeWithOpenssl(args: readonly string[]): Uint8Array {
  const command = ['req', '-new', '-nodes', '-keyout', '/dev/null', '-outform', 'DER', '-newkey', ...args]
  return execFileSync('openssl', command, { stdio: ['ignore', 'pipe', 'ignore'] })
}

function opensslCompresses(): boolean {
  try {
    const key = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-pkeyopt', 'ec_conv_form:compressed']
    return makeWithOpenssl([...key, '-subj', '/']).length > 0
  } catch {
    return false
  }
}
