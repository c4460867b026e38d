import assert from 'node:assert/strict'
import test from 'node:test'
import { parseFingerprint, parseProfileName } from '../../protocol/ids.js'
import { encodeJoinUri, parseJoinUri } from '../../protocol/join-uri.js'

const pin = `sha256:${'A'.repeat(43)}`
const uriOf = (authority: string, path = 'default'): string => `touchmark://${authority}/${path}?pin=${pin}`

test('a join URI comes back as it was, whatever host and port', () => {
  for (const host of ['localhost', 'join.example.org', 'a_b.example', '192.0.2.1', '::1', '2001:db8::7']) {
    for (const port of [1, 80, 443, 8443, 65_535]) {
      const join = {
        host,
        port,
        profile: parseProfileName('line-3'),
        pins: [parseFingerprint('00'.repeat(32)), parseFingerprint('af'.repeat(32))],
      }
      assert.deepEqual(parseJoinUri(encodeJoinUri(join)), join)
    }
  }
})

test('refuses hosts and ports that are missing, out of range, or read differently by URL than by people', () => {
  for (const authority of [
    'h',
    '[::1]',
    ':8443',
    'h:',
    'h:0',
    'h:65536',
    'h:-1',
    'h:٣',
    '[::1:8443',
    '[zz]:1',
    '[fe80::1%25eth0]:1',
    '::1:8443',
    'user@h:1',
    '@h:1',
    'user:secret@h:1',
    'evil:1\\@good:2',
    'h\n:1',
    'h\t:1',
    ' h:1',
    'h h:1',
    '%68:1',
    'münchen:1',
    '999.0.0.1:1',
  ]) {
    assert.throws(() => parseJoinUri(uriOf(authority)), { code: 'INVALID_JOIN_URI' }, JSON.stringify(authority))
  }
})

test('refuses other schemes, profiles that are no name, and more than pins', () => {
  for (const text of [
    '',
    'touchmark:',
    `https://h:1/default?pin=${pin}`,
    `TOUCHMARK://h:1/default?pin=${pin}`,
    uriOf('h:1', ''),
    uriOf('h:1', 'a/b'),
    uriOf('h:1', './a'),
    uriOf('h:1', '..'),
    uriOf('h:1', '%2e%2e'),
    uriOf('h:1', '%'),
    uriOf('h:1', '%ff'),
    uriOf('h:1', 'a%00b'),
    `${uriOf('h:1')}#f`,
    `${uriOf('h:1')}&x=1`,
    `${uriOf('h:1')} `,
    `${uriOf('h:1')}\n`,
  ]) {
    assert.throws(() => parseJoinUri(text), { code: 'INVALID_JOIN_URI' }, JSON.stringify(text))
  }
})

test('refuses a first contact without a pin, or with one that is not the hash of a key', () => {
  const noPins = [
    'touchmark://h:1/default',
    'touchmark://h:1/default?',
    'touchmark://h:1/default?pin=',
    `touchmark://h:1/default?pin=sha1:${'A'.repeat(27)}`,
    `touchmark://h:1/default?pin=sha256:${'A'.repeat(42)}`,
    `touchmark://h:1/default?pin=sha256:${'A'.repeat(42)}B`,
    `touchmark://h:1/default?pin=sha256:${'A'.repeat(43)}=`,
    `touchmark://h:1/default?pin=sha256:${'A'.repeat(43)}:x`,
    `touchmark://h:1/default?pin=${pin}&pin=`,
    `touchmark://h:1/default?Pin=${pin}`,
  ]
  for (const text of noPins) assert.throws(() => parseJoinUri(text), { code: 'INVALID_JOIN_URI' }, text)
})
