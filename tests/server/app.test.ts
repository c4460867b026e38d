import assert from 'node:assert/strict'
import test from 'node:test'
import { formatAddress } from '../../server/http/app.js'

test('an address is written so that nobody takes its port for a part of it', () => {
  assert.equal(formatAddress('192.0.2.1', 5000), '192.0.2.1:5000')
  assert.equal(formatAddress('2001:db8::1', 5000), '[2001:db8::1]:5000')
  assert.equal(formatAddress('::ffff:192.0.2.1', 50_000), '[::ffff:192.0.2.1]:50000')
})
