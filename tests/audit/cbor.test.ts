import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CborReader, CborWriter } from '../../audit/entries/cbor.js'

/** RFC 8949 appendix A, as far as entries use it. */
const integers: readonly (readonly [number, string])[] = [
  [0, '00'],
  [1, '01'],
  [10, '0a'],
  [23, '17'],
  [24, '1818'],
  [25, '1819'],
  [100, '1864'],
  [1000, '1903e8'],
  [1000000, '1a000f4240'],
  [1000000000000, '1b000000e8d4a51000'],
  [-1, '20'],
  [-10, '29'],
  [-100, '3863'],
  [-1000, '3903e7'],
  [2 ** 53 - 1, '1b001fffffffffffff'],
]
const texts: readonly (readonly [string, string])[] = [
  ['', '60'],
  ['a', '6161'],
  ['IETF', '6449455446'],
  ['"\\', '62225c'],
  ['ü', '62c3bc'],
  ['水', '63e6b0b4'],
  ['\u{10151}', '64f0908591'],
]

test('writes and reads the examples of RFC 8949', () => {
  for (const [value, hex] of integers) {
    assert.equal(
      written((writer) => writer.integer(value)),
      hex,
    )
    assert.equal(reader(hex).integer(), value)
  }
  for (const [value, hex] of texts) {
    assert.equal(
      written((writer) => writer.text(value)),
      hex,
    )
    assert.equal(reader(hex).text(), value)
  }
  assert.equal(
    written((writer) => writer.boolean(false)),
    'f4',
  )
  assert.equal(
    written((writer) => writer.boolean(true)),
    'f5',
  )
  assert.equal(
    written((writer) => writer.bytes(Uint8Array.of(1, 2, 3, 4))),
    '4401020304',
  )
  assert.equal(
    written((writer) => writer.texts(['a', 'b'])),
    '8261616162',
  )
})

test('map keys stand in the order of their encoding: shorter first, then by bytes', () => {
  const hex = written((writer) => writer.textMap({ aa: '3', b: '2', a: '1', __proto__x: '4' }))
  assert.equal(hex, 'a461616131616261326261616133' + '6a5f5f70726f746f5f5f786134')
  assert.deepEqual(reader(hex).textMap(), { a: '1', b: '2', aa: '3', __proto__x: '4' })
  const proto = reader('a1695f5f70726f746f5f5f6131').textMap()
  assert.deepEqual(Object.keys(proto), ['__proto__'])
})

test('text over 1 KiB is kept as its beginning in whole characters, its length and its SHA-256', () => {
  const long = 'é'.repeat(40_000) + 'x'
  const hex = written((writer) => writer.text(`a${long}`))
  assert.equal(hex.slice(0, 6), '8378ff') // 255 bytes: the 256th would be half a character
  const text = reader(hex).text()
  assert.match(text, /^aé{127}… \[80002 bytes, SHA-256 [0-9a-f]{64}\]$/)
  assert.equal(reader(written((writer) => writer.text('x'.repeat(1024)))).text(), 'x'.repeat(1024))
})

test('what does not fit is refused and nothing is written past the end', () => {
  const buffer = Buffer.alloc(20, 0xee)
  const writer = new CborWriter(buffer, 0, 10)
  assert.throws(() => writer.text('more than ten'), { code: 'AUDIT_INVALID' })
  assert.ok(buffer.subarray(10).every((byte) => byte === 0xee))
  for (const value of [0.5, NaN, Infinity, 2 ** 53]) {
    assert.throws(() => new CborWriter(Buffer.alloc(20), 0, 20).integer(value), { code: 'AUDIT_INVALID' })
  }
})

test('refuses every other form of the same value', () => {
  const integersElse = [
    '1817',
    '190017',
    '1a000003e8',
    '1b00000000000003e8',
    '1b0020000000000000',
    '1c',
    '',
    '18',
    'f90000',
  ]
  for (const hex of integersElse) assert.throws(() => reader(hex).integer(), { code: 'AUDIT_INVALID' }, hex)
  const textsElse = ['7f6161ff', '61ff', '62c328', '6261', '7801', '780161', '63eda080', '83616100404100', '8261']
  for (const hex of textsElse) assert.throws(() => reader(hex).text(), { code: 'AUDIT_INVALID' }, hex)
  const mapsElse = ['a2616261316161613 2', 'a26161613161616132', 'bf61616131ff', 'a16161', 'ba00000001']
  for (const hex of mapsElse)
    assert.throws(() => reader(hex.replace(' ', '')).textMap(), { code: 'AUDIT_INVALID' }, hex)
  for (const hex of ['f6', '00', 'f8f4']) assert.throws(() => reader(hex).boolean(), { code: 'AUDIT_INVALID' }, hex)
  assert.throws(() => reader('5b001fffffffffffff00').bytes(), { code: 'AUDIT_INVALID' })
  const long = `790401${'61'.repeat(1025)}`
  assert.throws(() => reader(long).text(), { code: 'AUDIT_INVALID' })
  const one = reader('0000')
  one.integer()
  assert.throws(() => one.end(), { code: 'AUDIT_INVALID' })
})

function written(write: (writer: CborWriter) => void): string {
  const buffer = Buffer.alloc(100_000)
  const writer = new CborWriter(buffer, 0, buffer.length)
  write(writer)
  return buffer.toString('hex', 0, writer.at)
}

function reader(hex: string): CborReader {
  return new CborReader(Buffer.from(hex, 'hex'))
}
