import assert from 'node:assert/strict'
import test from 'node:test'
import {
  decodeAttest,
  decodePublic,
  decodeSignature,
  ekTemplates,
  encodeAttest,
  encodePublic,
  encodeSignature,
} from '#tpm'
import { certifySample, eccSample, ekSample, hasCode, quoteSample, rsaSample } from './samples.js'

const refusal = hasCode('STRUCTURE_INVALID', 'STRUCTURE_UNSUPPORTED')
const invalid = hasCode('STRUCTURE_INVALID')
const unsupported = hasCode('STRUCTURE_UNSUPPORTED')

/** Some hundred times what the structures have together; a size of two bytes that is believed comes to this within 128 reads. */
const mostReservedBytes = 8 * 1024 * 1024

/** Each structure, encoded, and what reading and writing it again gives. */
const structures: readonly { name: string; bytes: Uint8Array; again: (bytes: Uint8Array) => Uint8Array }[] = [
  ...[eccSample('P-256'), eccSample('P-384', { nameAlg: 'sha384' }), rsaSample(), ekSample()].map(
    ({ area }, index) => ({
      name: `TPMT_PUBLIC ${index} of type ${area.type}`,
      bytes: encodePublic(area),
      again: (bytes: Uint8Array) => encodePublic(decodePublic(bytes)),
    }),
  ),
  ...[certifySample, quoteSample].map((attest) => ({
    name: `TPMS_ATTEST of a ${attest.type}`,
    bytes: encodeAttest(attest),
    again: (bytes: Uint8Array) => encodeAttest(decodeAttest(bytes)),
  })),
  ...[
    { scheme: 'ecdsa', hash: 'sha256', r: new Uint8Array(32).fill(6), s: new Uint8Array(32).fill(7) } as const,
    { scheme: 'rsapss', hash: 'sha384', signature: new Uint8Array(256).fill(8) } as const,
  ].map((signature) => ({
    name: `TPMT_SIGNATURE by ${signature.scheme}`,
    bytes: encodeSignature(signature),
    again: (bytes: Uint8Array) => encodeSignature(decodeSignature(bytes)),
  })),
]

for (const { name, bytes, again } of structures) {
  test(`${name}: reading and writing gives the same bytes`, () => {
    assert.deepEqual(again(bytes), bytes)
  })

  test(`${name}: truncated at any byte or with bytes after its end, it is refused`, () => {
    for (let length = 0; length < bytes.length; length++) assert.throws(() => again(bytes.subarray(0, length)), invalid)
    assert.throws(() => again(Uint8Array.from([...bytes, 0])), invalid)
  })

  test(`${name}: a changed byte is refused or read as what it is, never as the original`, () => {
    for (let at = 0; at < bytes.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const changed = Uint8Array.from(bytes)
        changed[at] = (changed[at] ?? 0) ^ mask
        assertReadFaithfully(changed, again)
      }
    }
  })
}

test('a size that lies is refused or ends where the bytes end, and nothing is reserved for what is not there', () => {
  const before = process.memoryUsage().arrayBuffers
  for (const { bytes, again } of structures) {
    for (let at = 0; at + 2 <= bytes.length; at++) {
      assertReadFaithfully(Uint8Array.from(bytes).fill(0xff, at, at + 2), again)
      assert.ok(process.memoryUsage().arrayBuffers - before < mostReservedBytes, 'a size was believed')
    }
  }
})

test('refuses SHA-1 as nameAlg, as hash of a scheme, of a signature and of a PCR bank', () => {
  const sha1 = [0x00, 0x04]
  const area = encodePublic(eccSample('P-256').area)
  assert.throws(() => decodePublic(replaced(area, 2, sha1)), unsupported)
  assert.throws(() => decodePublic(replaced(area, 14, sha1)), unsupported)
  const signature = encodeSignature({ scheme: 'rsassa', hash: 'sha256', signature: new Uint8Array(256) })
  assert.throws(() => decodeSignature(replaced(signature, 2, sha1)), unsupported)
  const quote = encodeAttest(quoteSample)
  assert.throws(() => decodeAttest(replaced(quote, quote.length - 34 - 6, sha1)), unsupported)
})

test('refuses a point off its curve, and coordinates of another length than its curve’s', () => {
  const { area } = eccSample('P-256')
  const off = Uint8Array.from(area.y)
  off[31] = (off[31] ?? 0) ^ 1
  assert.throws(() => decodePublic(encodePublic({ ...area, y: off })), invalid)
  assert.throws(() => decodePublic(encodePublic({ ...area, x: area.x.subarray(1) })), invalid)
  assert.throws(() => decodePublic(encodePublic({ ...area, x: Uint8Array.from([0, ...area.x]) })), invalid)
  assert.throws(() => decodePublic(encodePublic({ ...area, x: new Uint8Array(32), y: new Uint8Array(32) })), invalid)
  assert.throws(() => decodePublic(encodePublic({ ...area, curve: 'P-384' })), invalid)
})

test('refuses RSA moduli that contradict their size, and exponents that no TPM here has', () => {
  const { area } = rsaSample()
  const { modulus } = area
  assert.throws(() => decodePublic(encodePublic({ ...area, modulus: modulus.subarray(1) })), invalid)
  assert.throws(() => decodePublic(encodePublic({ ...area, modulus: modulus.with(0, 0x7f) })), invalid)
  assert.throws(() => decodePublic(encodePublic({ ...area, modulus: modulus.with(255, 0x10) })), invalid)
  assert.throws(
    () => decodePublic(encodePublic({ ...area, keyBits: 1024, modulus: modulus.subarray(128) })),
    unsupported,
  )
  assert.throws(() => decodePublic(encodePublic({ ...area, exponent: 3 })), unsupported)
})

test('refuses a scheme of another type of key', () => {
  const { area } = eccSample('P-256', { scheme: { name: 'rsassa', hash: 'sha256' } })
  assert.throws(() => decodePublic(encodePublic(area)), invalid)
})

test('refuses an authPolicy of another length than the hash of the name', () => {
  const { area } = eccSample('P-256', { authPolicy: new Uint8Array(20) })
  assert.throws(() => decodePublic(encodePublic(area)), invalid)
})

test('refuses an attestation that no TPM marked as its own, and one of an unknown kind', () => {
  const bytes = encodeAttest(certifySample)
  assert.throws(() => decodeAttest(bytes.with(0, 0x00)), invalid)
  assert.throws(() => decodeAttest(replaced(bytes, 4, [0x80, 0x14])), unsupported) // TPM_ST_ATTEST_NV
})

test('templates, which hold no key yet, are not taken for keys', () => {
  for (const template of ekTemplates) assert.throws(() => decodePublic(encodePublic(template.public)), refusal)
})

function assertReadFaithfully(bytes: Uint8Array, again: (bytes: Uint8Array) => Uint8Array): void {
  let read: Uint8Array
  try {
    read = again(bytes)
  } catch (error) {
    refusal(error)
    return
  }
  assert.deepEqual(read, bytes)
}

function replaced(bytes: Uint8Array, at: number, by: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy.set(by, at)
  return copy
}
