import assert from 'node:assert/strict'
import test from 'node:test'
import {
  decodeBase64,
  decodeBase64url,
  decodeHex,
  encodeBase64url,
  encodeHex,
  encodeJson,
} from '../../protocol/encoding.js'
import { seeded } from '../seeded.js'

test('base64url gives back every byte, and agrees with Node', () => {
  const random = seeded(4648)
  for (let length = 0; length < 300; length++) {
    const bytes = Uint8Array.from({ length }, () => random(256))
    const text = encodeBase64url(bytes)
    assert.equal(text, Buffer.from(bytes).toString('base64url'))
    assert.deepEqual(decodeBase64url(text), bytes)
  }
})

test('base64url is read in its canonical form only', () => {
  // RFC 4648 §3.5: unused bits at the end are zero; §5: no padding here.
  for (const text of ['A', 'AAAAA', 'AB', 'AAB', 'AQ==', 'A+', 'A/', ' AQ', 'AQ\n', 'A\0', 'AQ=', 'é', '😀', 'AＡ']) {
    assert.throws(() => decodeBase64url(text), { code: 'INVALID_ENCODING' }, JSON.stringify(text))
  }
  // Of all texts of two letters exactly the 256 that are a byte's own.
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const accepted = [...letters].flatMap((one) => [...letters].map((other) => one + other)).filter(isCanonical)
  assert.equal(accepted.length, 256)
})

test('base64 is read with its padding, whatever white space stands between, and nothing else', () => {
  const random = seeded(8951)
  for (let length = 0; length < 100; length++) {
    const bytes = Uint8Array.from({ length }, () => random(256))
    const text = Buffer.from(bytes).toString('base64')
    assert.deepEqual(decodeBase64(text), bytes)
    assert.deepEqual(decodeBase64(` \t${[...text].join('\r\n')}\n\n`), bytes)
  }
  for (const text of [
    'AQ',
    'AQ=',
    'AQI',
    'AB==',
    'AAB=',
    'A===',
    '====',
    'AQ==AQ==',
    'A-_A',
    'AQ==\0',
    'AQ\v==',
    'é===',
  ]) {
    assert.throws(() => decodeBase64(text), { code: 'INVALID_ENCODING' }, JSON.stringify(text))
  }
})

test('hexadecimal is whole bytes and nothing else', () => {
  assert.deepEqual(decodeHex('00fFa0'), Uint8Array.of(0, 255, 160))
  assert.equal(encodeHex(Uint8Array.of(0, 255, 160)), '00ffa0')
  for (const text of ['0', '0g', ' 00', '00\n', '0x00', '+1', '-1', '٠٠']) {
    assert.throws(() => decodeHex(text), { code: 'INVALID_ENCODING' }, JSON.stringify(text))
  }
})

function isCanonical(text: string): boolean {
  try {
    return encodeBase64url(decodeBase64url(text)) === text
  } catch {
    return false
  }
}

test('JSON carries bytes as base64url, of a Buffer as of any other array of bytes', () => {
  const bytes = Uint8Array.of(0, 255, 7)
  assert.equal(encodeJson({ a: bytes, b: { c: [Buffer.from(bytes)] } }), '{"a":"AP8H","b":{"c":["AP8H"]}}')
})
