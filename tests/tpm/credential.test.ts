import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import test from 'node:test'
import { ekTemplates, makeCredential, nameOf, openCredential, type TpmPublic } from '#tpm'
import { eccSample, ekSample, hasCode } from './samples.js'

const secret = new Uint8Array(32).fill(9)
const akName = nameOf(eccSample('P-256').area)

test('a credential opens with its EK and name, and any changed byte is refused', () => {
  const { area: ekPublic, privateKey: ekPrivate } = ekSample()
  const credential = makeCredential({ ekPublic }, akName, secret)
  assert.deepEqual(openCredential({ ekPublic, ekPrivate }, akName, credential), secret)
  const failed = hasCode('TPM_COMMAND_FAILED')
  assert.throws(
    () => openCredential({ ekPublic, ekPrivate }, akName.with(5, (akName[5] ?? 0) ^ 0x40), credential),
    failed,
  )
  for (const field of ['credentialBlob', 'encryptedSecret'] as const) {
    const bytes = credential[field]
    for (const at of [0, 1, 2, bytes.length >> 1, bytes.length - 1]) {
      const changed = { ...credential, [field]: bytes.with(at, (bytes[at] ?? 0) ^ 0x40) }
      assert.throws(() => openCredential({ ekPublic, ekPrivate }, akName, changed), failed)
      const truncated = { ...credential, [field]: bytes.subarray(0, at) }
      assert.throws(() => openCredential({ ekPublic, ekPrivate }, akName, truncated), failed)
    }
  }
})

test('makes no credential for a key that is no storage key, nor for a secret that its TPM would not take', () => {
  const unsuitable = hasCode('KEY_UNSUITABLE')
  const { area: ekPublic } = ekSample()
  assert.throws(() => makeCredential({ ekPublic: eccSample('P-256').area }, akName, secret), unsuitable)
  assert.throws(() => makeCredential({ ekPublic }, akName, new Uint8Array(33)), unsuitable)
  const signing: TpmPublic = { ...ekPublic, attributes: { ...ekPublic.attributes, decrypt: false } }
  assert.throws(() => makeCredential({ ekPublic: signing }, akName, secret), unsuitable)
})

test('hash and AES size follow the EK’s public area', () => {
  const template = ekTemplates.find(({ name }) => name === 'ecc-p384')?.public
  assert.equal(template?.type, 'ecc')
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  const ekPublic = { ...template, x: Buffer.from(x, 'base64url'), y: Buffer.from(y, 'base64url') }
  const credential = makeCredential({ ekPublic }, akName, secret)
  assert.equal(credential.credentialBlob.length, 2 + 48 + 2 + secret.length)
  assert.deepEqual(openCredential({ ekPublic, ekPrivate: privateKey }, akName, credential), secret)
  const otherHash = { ekPublic: { ...ekPublic, nameAlg: 'sha256' } as const, ekPrivate: privateKey }
  assert.throws(() => openCredential(otherHash, akName, credential), hasCode('TPM_COMMAND_FAILED'))
})
