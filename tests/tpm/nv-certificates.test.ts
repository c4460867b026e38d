import assert from 'node:assert/strict'
import test from 'node:test'
import { splitDer } from '../../tpm/nv-certificates.js'

const short = Uint8Array.from([0x30, 3, 1, 2, 3])
const long = Uint8Array.from([0x30, 0x81, 0x80, ...new Array<number>(0x80).fill(7)])
const longer = Uint8Array.from([0x30, 0x82, 0x01, 0x02, ...new Array<number>(0x102).fill(8)])

test('certificates that follow one another are told apart by their DER lengths', () => {
  assert.deepEqual(splitDer(Uint8Array.from([...short, ...long, ...longer])), [short, long, longer])
})

test('what fills the rest of an NV index is no certificate', () => {
  for (const filler of [0x00, 0xff]) {
    assert.deepEqual(splitDer(Uint8Array.from([...longer, ...new Array<number>(600).fill(filler)])), [longer])
  }
})

test('an index that is empty or was cut short gives no certificate', () => {
  assert.deepEqual(splitDer(new Uint8Array(0)), [])
  for (let length = 0; length < longer.length; length++) assert.deepEqual(splitDer(longer.subarray(0, length)), [])
})
