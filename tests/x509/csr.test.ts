import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { type KeyObject, sign } from 'node:crypto'
import test from 'node:test'
import { createCsr, createKeyPair, decodeCsr, encodePem, spkiHash, spkiOf } from '#x509'
import { needs } from '../needs.js'

const pair = createKeyPair('P-256')
const spki = spkiOf(pair.publicKey)

test('a request proves its key, wherever the key signs', async () => {
  const csr = await createCsr({ spki, sign: signWith(pair.privateKey) })
  const decoded = await decodeCsr(csr)
  assert.deepEqual(decoded.spki, spki)
  assert.equal(decoded.spkiHash, spkiHash(spki))
  assert.equal(decoded.publicKey.equals(pair.publicKey), true)
})

test('openssl verifies our request', needs('openssl'), async () => {
  const csr = await createCsr({ spki, sign: signWith(pair.privateKey) })
  const input = encodePem('CERTIFICATE REQUEST', csr)
  execFileSync('openssl', ['req', '-verify', '-noout'], { input, stdio: ['pipe', 'ignore', 'pipe'] })
})

test('requests made by openssl are read, and the names in them passed over', needs('openssl'), async () => {
  for (const key of [['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], ['ed25519']]) {
    const csr = makeWithOpenssl([...key, '-subj', '/CN=admin', '-addext', 'subjectAltName=DNS:admin.example'])
    assert.equal((await decodeCsr(csr)).spkiHash.length, 64)
  }
})

test('refuses other kinds of keys', needs('openssl'), async () => {
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
    await assert.rejects(decodeCsr(makeWithOpenssl([...key, '-subj', '/'])), { code: 'KEY_UNSUPPORTED' }, key.join(' '))
  }
})

test('refuses a request signed by another key', async () => {
  const csr = await createCsr({ spki, sign: signWith(createKeyPair('P-256').privateKey) })
  await assert.rejects(decodeCsr(csr), { code: 'SIGNATURE_INVALID' })
})

test('refuses an oversized request before reading it', async () => {
  await assert.rejects(decodeCsr(new Uint8Array(9000)), { code: 'TOO_LARGE' })
})

test('every truncation and every changed byte ends in our own error', async () => {
  const csr = await createCsr({ spki, sign: signWith(pair.privateKey) })
  for (let length = 0; length < csr.length; length++) await refused(csr.subarray(0, length))
  for (let at = 0; at < csr.length; at++) {
    const changed = Uint8Array.from(csr)
    changed[at] = (changed[at] ?? 0) ^ 0x81
    await refused(changed)
  }
  await refused(Buffer.concat([csr, Uint8Array.of(0)]))
})

test('deep nesting and lying lengths cost nothing', async () => {
  const deep = Buffer.alloc(8000, Uint8Array.of(0x30, 0x80))
  await assert.rejects(decodeCsr(deep), { code: 'MALFORMED' })
  await assert.rejects(decodeCsr(Uint8Array.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff)), { code: 'MALFORMED' })
  await assert.rejects(decodeCsr(Uint8Array.of(0x30, 0x81, 0x01, 0x00)), { code: 'MALFORMED' })
})

test('a point off the curve is refused', async () => {
  const off = Uint8Array.from(spki)
  off[off.length - 1] = (off.at(-1) ?? 0) ^ 1
  const csr = await createCsr({ spki: off, sign: signWith(pair.privateKey) })
  await assert.rejects(decodeCsr(csr), { code: 'MALFORMED' })
})

async function refused(csr: Uint8Array): Promise<void> {
  const codes = ['MALFORMED', 'KEY_UNSUPPORTED', 'SIGNATURE_UNSUPPORTED', 'SIGNATURE_INVALID']
  await assert.rejects(decodeCsr(csr), (error: { code?: string }) => codes.includes(error.code ?? ''))
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
