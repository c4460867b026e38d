import assert from 'node:assert/strict'
import test from 'node:test'
import {
  isName,
  parseCertificateSerial,
  parseDeviceId,
  parseFingerprint,
  parseTrustDomain,
} from '../../protocol/ids.js'

test('a device id stands for one topic level, one path segment and one certificate name', () => {
  for (const id of ['d1', 'A.b_c-9', '...', '-', '__proto__', 'constructor', 'x'.repeat(64)]) {
    assert.equal(parseDeviceId(id), id)
    assert.ok(isName(id))
  }
  const hostile = [
    '',
    '.',
    '..',
    '+',
    '#',
    'a/b',
    'a\\b',
    '$SYS',
    '*',
    '.*',
    '${device.id}',
    'a b',
    'a\0',
    'a\n',
    'é',
    'd1~pub',
  ]
  for (const id of [...hostile, '１', 'x'.repeat(65), 'x'.repeat(65_536)]) {
    assert.throws(() => parseDeviceId(id), { code: 'INVALID_ID' }, id.slice(0, 20))
    assert.ok(!isName(id))
  }
})

test('an error about an id shows only its beginning', () => {
  assert.throws(
    () => parseDeviceId('/'.repeat(65_536)),
    (error) => error instanceof Error && error.message.length < 300,
  )
})

test('serials and fingerprints are lowercase hex of one length', () => {
  assert.ok(parseCertificateSerial('0a'.repeat(16)))
  assert.ok(parseFingerprint('0a'.repeat(32)))
  for (const text of ['', '0A'.repeat(16), '0a'.repeat(15), '0g'.repeat(16), `${'0a'.repeat(16)}\n`]) {
    assert.throws(() => parseCertificateSerial(text), { code: 'INVALID_ID' })
  }
  for (const text of ['', '0A'.repeat(32), '0a'.repeat(31)])
    assert.throws(() => parseFingerprint(text), { code: 'INVALID_ID' })
})

test('a trust domain is lowercase', () => {
  assert.equal(parseTrustDomain('fleet.example'), 'fleet.example')
  for (const text of ['', 'Fleet', 'a/b', 'a:1', 'x'.repeat(256)]) {
    assert.throws(() => parseTrustDomain(text), { code: 'INVALID_ID' })
  }
})
