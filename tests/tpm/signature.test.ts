import assert from 'node:assert/strict'
import { constants, sign } from 'node:crypto'
import test from 'node:test'
import { encodeSignature, verifySignature } from '#tpm'
import { encodeEcdsaSigValue } from '../../tpm/structures/ecdsa-der.js'
import { eccSample, hasCode, rsaSample } from './samples.js'

const data = Buffer.from('TPMS_ATTEST')
const invalid = hasCode('SIGNATURE_INVALID')

for (const [curve, hash] of [
  ['P-256', 'sha256'],
  ['P-384', 'sha384'],
] as const) {
  test(`verifies ECDSA on ${curve} with ${hash}, with r and s as long as they are`, () => {
    const { area, privateKey } = eccSample(curve, { scheme: { name: 'ecdsa', hash } })
    const pair = Uint8Array.from(sign(hash, data, { key: privateKey, dsaEncoding: 'ieee-p1363' }))
    const [r, s] = [pair.subarray(0, pair.length / 2), pair.subarray(pair.length / 2)]
    verifySignature(area, data, encodeSignature({ scheme: 'ecdsa', hash, r, s }))
    verifySignature(area, data, encodeSignature({ scheme: 'ecdsa', hash, r: trimmed(r), s: trimmed(s) }))
    const swapped = encodeSignature({ scheme: 'ecdsa', hash, r: s, s: r })
    assert.throws(() => verifySignature(area, data, swapped), invalid)
    const zero = encodeSignature({ scheme: 'ecdsa', hash, r: new Uint8Array(0), s: new Uint8Array(0) })
    assert.throws(() => verifySignature(area, data, zero), invalid)
    assert.throws(
      () => verifySignature(eccSample(curve).area, data, encodeSignature({ scheme: 'ecdsa', hash, r, s })),
      invalid,
    )
    assert.throws(
      () => verifySignature(area, data, encodeSignature({ scheme: 'ecdsa', hash, r: new Uint8Array(49), s })),
      hasCode('STRUCTURE_INVALID'),
    )
  })
}

for (const scheme of ['rsassa', 'rsapss'] as const) {
  test(`verifies ${scheme} with SHA-256, over the data signed and no other`, () => {
    const { area, privateKey } = rsaSample({ scheme: { name: scheme, hash: 'sha256' } })
    const padding = scheme === 'rsassa' ? constants.RSA_PKCS1_PADDING : constants.RSA_PKCS1_PSS_PADDING
    const signature = Uint8Array.from(sign('sha256', data, { key: privateKey, padding }))
    const encoded = encodeSignature({ scheme, hash: 'sha256', signature })
    verifySignature(area, data, encoded)
    assert.throws(() => verifySignature(area, Buffer.from('other'), encoded), invalid)
    assert.throws(() => verifySignature(area, data, encoded.with(-1, (encoded.at(-1) ?? 0) ^ 1)), invalid)
    const other = scheme === 'rsassa' ? 'rsapss' : 'rsassa'
    const relabelled = encodeSignature({ scheme: other, hash: 'sha256', signature })
    assert.throws(() => verifySignature(area, data, relabelled), invalid)
    assert.throws(
      () => verifySignature({ ...area, scheme: { name: other, hash: 'sha256' } }, data, relabelled),
      invalid,
    )
  })
}

test('takes no signature by a key that is bound to no scheme, or to another hash', () => {
  const { area, privateKey } = eccSample('P-256')
  const pair = Uint8Array.from(sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' }))
  const signature = encodeSignature({ scheme: 'ecdsa', hash: 'sha256', r: pair.subarray(0, 32), s: pair.subarray(32) })
  verifySignature(area, data, signature)
  const { scheme: _, ...unbound } = area
  assert.throws(() => verifySignature(unbound, data, signature), invalid)
  const bound = { ...area, scheme: { name: 'ecdsa', hash: 'sha384' } } as const
  assert.throws(() => verifySignature(bound, data, signature), invalid)
})

test('writes Ecdsa-Sig-Value in the shortest form, and positive', () => {
  const encoded = encodeEcdsaSigValue({ r: Uint8Array.of(0, 0, 0x80), s: Uint8Array.of(0x7f) })
  assert.deepEqual([...encoded], [0x30, 7, 0x02, 2, 0, 0x80, 0x02, 1, 0x7f])
})

function trimmed(scalar: Uint8Array): Uint8Array {
  return scalar.subarray(scalar.findIndex((byte) => byte !== 0))
}
