import assert from 'node:assert/strict'
import test from 'node:test'
import { crc32c } from '#protocol'

test('CRC-32C has the values of RFC 3720 appendix B.4', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
  for (let at = 0; at <= 9; at++) {
    const bytes = Buffer.from('..123456789.')
    assert.equal(crc32c(bytes, 2 + at, 11, crc32c(bytes, 2, 2 + at)), 0xe3069283)
  }
})
