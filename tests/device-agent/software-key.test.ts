import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import test from 'node:test'
import { SoftwareKey } from '../../device-agent/software-key.js'

test('signs ECDSA with SHA-256 so that its own public key verifies it', async () => {
  const key = SoftwareKey.create()
  const publicKey = createPublicKey({ key: Buffer.from(key.spki), type: 'spki', format: 'der' })
  assert.equal(publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  assert.ok(verify('sha256', Buffer.from('a request'), publicKey, await key.sign(Buffer.from('a request'))))
})

test('is the same key after it was written and read again', () => {
  const key = SoftwareKey.create()
  assert.deepEqual(SoftwareKey.fromPem(key.toPem()).spki, key.spki)
})

test('refuses a key file that holds something else', () => {
  assert.throws(() => SoftwareKey.fromPem('-----BEGIN NONSENSE-----'), { code: 'STATE_INVALID' })
})
