import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { ekTemplates, encodePublic } from '#tpm'

test('the low-range templates are those of the TCG EK Credential Profile, byte for byte', () => {
  // Templates L-1 and L-2 as `tpm2_createek` sends them: policy A, AES-128-CFB, no scheme.
  const policyA = '0020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa'
  const rsa = `0001000b000300b2${policyA}0006008000430010080000000000${'0100'}${'00'.repeat(256)}`
  const ecc = `0023000b000300b2${policyA}00060080004300100003${'0010'}${`0020${'00'.repeat(32)}`.repeat(2)}`
  assert.equal(encodedAt(0x01c00002), rsa)
  assert.equal(encodedAt(0x01c0000a), ecc)
})

test('the high-range policies are policy A or the platform’s own (PolicyOR)', () => {
  for (const [index, hash] of [
    [0x01c00012, 'sha256'],
    [0x01c00016, 'sha384'],
  ] as const) {
    const template = ekTemplates.find(({ nvIndex }) => nvIndex === index)
    assert.equal(hex(template?.public.authPolicy), policyB(hash))
  }
})

/** Part 3 §23.6: H(zeros ‖ TPM_CC_PolicyOR ‖ branches); the branches are PolicySecret and PolicyAuthorizeNV. */
function policyB(hash: 'sha256' | 'sha384'): string {
  const zeros = Buffer.alloc(hash === 'sha256' ? 32 : 48)
  const extend = (...parts: readonly Uint8Array[]): Buffer => {
    const digest = createHash(hash)
    for (const part of parts) digest.update(part)
    return digest.digest()
  }
  const endorsement = Buffer.from('4000000b', 'hex')
  const secret = extend(extend(zeros, Buffer.from('00000151', 'hex'), endorsement)) // an empty policyRef is hashed too
  // TCG EK Credential Profile §B.6.4: policy C, PolicyAuthorizeNV of the profile's policy index
  const authorized = Buffer.from(
    {
      sha256: '3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde',
      sha384: 'd6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165',
    }[hash],
    'hex',
  )
  return hex(extend(zeros, Buffer.from('00000171', 'hex'), secret, authorized))
}

function encodedAt(index: number): string {
  const template = ekTemplates.find(({ nvIndex }) => nvIndex === index)
  assert.ok(template)
  return hex(encodePublic(template.public))
}

function hex(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('hex')
}
