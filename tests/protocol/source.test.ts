import assert from 'node:assert/strict'
import test from 'node:test'
import { sourceOf } from '../../protocol/source.js'

test('a source is an address without its port, and an IPv6 subscriber with whichever of its addresses', () => {
  const home = sourceOf('2001:db8:1:2::1')
  for (const peer of ['[2001:db8:1:2::1]:54321', '2001:db8:1:2:ffff::7', '[2001:db8:1:2:3:4:5:6]:1']) {
    assert.equal(sourceOf(peer), home)
  }
  assert.notEqual(sourceOf('[2001:db8:1:3::1]:54321'), home)
  for (const peer of ['192.0.2.1', '192.0.2.1:54321', '::ffff:192.0.2.1', '[::ffff:192.0.2.1]:54321']) {
    assert.equal(sourceOf(peer), '192.0.2.1')
  }
})
