import assert from 'node:assert/strict'
import test from 'node:test'
import { splitCertificates } from '../../tpm/nv-certificates.js'

const short = Uint8Array.from([0x30, 3, 1, 2, 3])
const long = Uint8Array.from([0x30, 0x81, 0x80, ...new Array<number>(0x80).fill(7)])
const longer = Uint8Array.from([0x30, 0x82, 0x01, 0x02, ...new Array<number>(0x102).fill(8)])

test('certificates that follow one another are told apart by their DER lengths', () => {
  assert.deepEqual(splitCertificates(Uint8Array.from([...short, ...long, ...longer])), [short, long, longer])
})

test('what fills the rest of an NV index is no certificate, and ends none that comes behind it', () => {
  for (const filler of [0x00, 0xff]) {
    const rest = new Array<number>(600).fill(filler)
    assert.deepEqual(splitCertificates(Uint8Array.from([...longer, ...rest])), [longer])
    assert.deepEqual(splitCertificates(Uint8Array.from([...longer, ...rest, ...short, ...rest])), [longer, short])
    assert.deepEqual(splitCertificates(Uint8Array.from(rest)), [])
  }
})

test('a certificate that is wrapped as TPM 1.2 did is found in its wrapping', () => {
  const full = [0x10, 0x01, 0x00, 0x01, 0x08, 0x10, 0x02]
  assert.deepEqual(splitCertificates(Uint8Array.from([...full, ...longer, 0xff, 0xff])), [longer])
  assert.deepEqual(splitCertificates(Uint8Array.from([...full.slice(0, 5), ...longer])), [longer])
  assert.deepEqual(splitCertificates(Uint8Array.from([...full, ...short, 0, 0, ...full, ...long])), [short, long])
  const partial = [0x10, 0x01, 0x01, 0x01, 0x08, 0x10, 0x03]
  assert.deepEqual(splitCertificates(Uint8Array.from([...partial, ...longer])), [])
})

test('an index that is empty or was cut short gives no certificate', () => {
  assert.deepEqual(splitCertificates(new Uint8Array(0)), [])
  for (let length = 0; length < longer.length; length++) {
    assert.deepEqual(splitCertificates(longer.subarray(0, length)), [])
  }
})
