import assert from 'node:assert/strict'
import test from 'node:test'
import {
  boolean,
  bytes,
  decodeJson,
  integer,
  list,
  object,
  optional,
  parsed,
  record,
  text,
  word,
} from '../../protocol/decode.js'
import { parseDeviceId } from '../../protocol/ids.js'
import { decodeTokenJoinRequest, decodeTpmJoinRequest, parseTime } from '../../protocol/join.js'

const refused = { name: 'ProtocolError', code: 'INVALID_MESSAGE' }
const notText: readonly unknown[] = [undefined, null, 0, true, [], {}, ['a']]

test('each decoder refuses every other kind of value', () => {
  for (const value of notText) {
    for (const decoder of [text(9), bytes(9), word('a', 'b'), parsed(parseDeviceId)]) {
      assert.throws(() => decoder(value, 'x'), refused)
    }
  }
  for (const value of ['1', null, 1.5, NaN, Infinity, -1, 11, 2 ** 60, [1], 10n]) {
    assert.throws(() => integer(0, 10)(value, 'x'), refused)
  }
  for (const value of ['true', 0, null]) assert.throws(() => boolean(value, 'x'), refused)
  for (const value of [{ length: 1 }, 'ab', null, new Set()]) assert.throws(() => list(text(9), 9)(value, 'x'), refused)
  for (const value of [[], null, 'a', 1]) assert.throws(() => object({})(value, 'x'), refused)
  for (const value of ['toString', '__proto__', 'a ', '']) assert.throws(() => word('a', 'b')(value, 'x'), refused)
})

test('sizes are checked before anything is decoded', () => {
  assert.equal(bytes(3)('AAAA', 'x').length, 3)
  assert.throws(() => bytes(3)('AAAAA', 'x'), refused)
  assert.throws(() => bytes(4)('AAAAAAA', 'x'), refused)
  assert.throws(() => text(3)('abcd', 'x'), refused)
  assert.throws(() => list(text(1), 2)(['a', 'b', 'c'], 'x'), refused)
  assert.throws(() => record(text(1), 1)({ a: 'a', b: 'b' }, 'x'), refused)
  assert.throws(() => record(text(1), 1)({ ['k'.repeat(65)]: 'a' }, 'x'), refused)
})

test('an object has exactly its fields', () => {
  const decoder = object({ a: text(9), b: optional(integer(0, 9)) })
  assert.deepEqual(decoder({ a: 'x' }, ''), { a: 'x' })
  assert.deepEqual(decoder({ a: 'x', b: undefined }, ''), { a: 'x' })
  for (const json of ['{}', '{"a":null}', '{"a":"x","b":null}', '{"a":"x","c":1}', '{"a":"x","A":"x"}', '[]']) {
    assert.throws(() => decodeJson(json, decoder, ''), refused, json)
  }
})

test('names of JavaScript’s own are names like any other', () => {
  const decoder = object({ a: optional(text(9)) })
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    assert.throws(() => decodeJson(`{"${name}": {"a": "x"}}`, decoder, ''), refused, name)
    const map = decodeJson(`{"${name}": "x"}`, record(text(9), 9), '')
    assert.deepEqual(Object.entries(map), [[name, 'x']])
    assert.equal(Object.getPrototypeOf(map), null)
  }
  assert.throws(() => object({ toString: text(9) })({}, ''), refused)
  assert.equal('polluted' in {}, false)
})

test('what is not JSON ends in our error, however deep or broken', () => {
  for (const json of [
    '',
    '{',
    'nul',
    '\ud800',
    '\0',
    "{'a':1}",
    '['.repeat(100_000),
    `${'['.repeat(5000)}${']'.repeat(5000)}`,
  ]) {
    assert.throws(() => decodeJson(json, object({}), 'request'), refused)
  }
})

test('an error names the place and never the value', () => {
  const decoder = object({ token: text(4), list: list(object({ a: integer(0, 1) }), 9) })
  const messageOf = (value: unknown): string => {
    try {
      decoder(value, '')
    } catch (error) {
      return error instanceof Error ? error.message : ''
    }
    return 'accepted'
  }
  assert.equal(
    messageOf({ token: 'secret', list: [] }),
    'token: expected text of at most 4 characters, got text of 6 characters',
  )
  assert.match(messageOf({ token: 'x', list: [{ a: 0 }, { a: 7 }] }), /^list\[1\]\.a: /)
})

test('a join request with anything more, missing or misspelt is refused', () => {
  assert.deepEqual(decodeTokenJoinRequest({ csr: 'AQ' }, 'request'), { csr: Uint8Array.of(1) })
  for (const request of [
    null,
    [],
    {},
    { csr: 'AR' },
    { csr: ['AQ'] },
    { csr: 'AQ', id: 'd1' },
    { csr: 'AQ', profile: '../x' },
  ]) {
    assert.throws(() => decodeTokenJoinRequest(request, 'request'), refused)
  }
})

test('a PCR has one spelling', () => {
  const request = (index: string) => ({
    ...{ profile: 'p', binding: 'exporter', ekPublic: 'AQ', akPublic: 'AQ', keyPublic: 'AQ', csr: 'AQ' },
    certify: { attest: 'AQ', signature: 'AQ' },
    quote: { attest: 'AQ', signature: 'AQ', pcrs: { sha256: { [index]: 'AQ' } } },
  })
  for (const index of ['0', '7', '23']) assert.ok(decodeTpmJoinRequest(request(index), 'request').quote)
  for (const index of ['07', '24', '-1', '1e1', '', ' 7', '__proto__x']) {
    assert.throws(() => decodeTpmJoinRequest(request(index), 'request'), refused, index)
  }
})

test('a time is an instant that exists, in UTC', () => {
  assert.equal(parseTime('2028-02-29T23:59:59.5Z').getTime(), Date.UTC(2028, 1, 29, 23, 59, 59, 500))
  for (const source of [
    '2026-02-30T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01T00:00:00',
    '2026-01-01T00:00:00+01:00',
    '2026-01-01',
    '0',
    '',
  ]) {
    assert.throws(() => parseTime(source), refused, source)
  }
})

test('what a device reports of itself is bounded as a whole', () => {
  const join = (facts: number) =>
    decodeTokenJoinRequest(
      {
        csr: 'AA',
        reported: Object.fromEntries(Array.from({ length: facts }, (_, at) => [`f${at}`, 'x'.repeat(1000)])),
      },
      '',
    )
  assert.equal(Object.keys(join(8).reported ?? {}).length, 8)
  assert.throws(() => join(9), refused)
})
