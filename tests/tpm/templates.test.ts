import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { ekTemplates, encodePublic } from '#tpm'

/*
 * TCG EK Credential Profile 2.5 §B, byte for byte as TPMT_PUBLIC: type, nameAlg, attributes, authPolicy, AES-CFB, no
 * scheme, and the key's own parameters. The low range as `tpm2_createek` sends it.
 */

const policyA = '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa'
const zeros = (bytes: number): string => '00'.repeat(bytes)

for (const [index, what, expected] of [
  [0x01c00002, 'L-1, RSA-2048', `0001000b000300b20020${policyA}0006008000430010${'080000000000'}0100${zeros(256)}`],
  [
    0x01c0000a,
    'L-2, P-256',
    `0023000b000300b20020${policyA}0006008000430010${'00030010'}${`0020${zeros(32)}`.repeat(2)}`,
  ],
  [0x01c00012, 'H-1, RSA-2048', `0001000b000300f20020${policyB('sha256')}0006008000430010${'080000000000'}0000`],
  [0x01c00014, 'H-2, P-256', `0023000b000300f20020${policyB('sha256')}0006008000430010${'00030010'}00000000`],
  [0x01c00016, 'H-3, P-384', `0023000c000300f20030${policyB('sha384')}0006010000430010${'00040010'}00000000`],
  [0x01c0001c, 'H-6, RSA-3072', `0001000c000300f20030${policyB('sha384')}0006010000430010${'0c0000000000'}0000`],
] as const) {
  test(`the endorsement key whose certificate lies at 0x${index.toString(16)} is made by template ${what}`, () => {
    const template = ekTemplates.find(({ nvIndex }) => nvIndex === index)
    assert.ok(template)
    assert.equal(Buffer.from(encodePublic(template.public)).toString('hex'), expected)
  })
}

test('there is no other template, and none comes twice', () => {
  assert.equal(ekTemplates.length, 6)
  assert.equal(new Set(ekTemplates.map(({ nvIndex }) => nvIndex)).size, 6)
})

/**
 * Policy A or the platform's own. Part 3 §23.6: H(zeros ‖ TPM_CC_PolicyOR ‖ branches); the branches are PolicySecret and
 * PolicyAuthorizeNV.
 */
function policyB(hash: 'sha256' | 'sha384'): string {
  const start = Buffer.alloc(hash === 'sha256' ? 32 : 48)
  const extend = (...parts: readonly Uint8Array[]): Buffer => {
    const digest = createHash(hash)
    for (const part of parts) digest.update(part)
    return digest.digest()
  }
  const endorsement = Buffer.from('4000000b', 'hex')
  const secret = extend(extend(start, Buffer.from('00000151', 'hex'), endorsement)) // an empty policyRef is hashed too
  // TCG EK Credential Profile §B.6.4: policy C, PolicyAuthorizeNV of the profile's policy index
  const authorized = Buffer.from(
    {
      sha256: '3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde',
      sha384: 'd6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165',
    }[hash],
    'hex',
  )
  return extend(start, Buffer.from('00000171', 'hex'), secret, authorized).toString('hex')
}
