import assert from 'node:assert/strict'
import test from 'node:test'
import { maxRowCharacters } from '../../cli/csv-parser.js'
import { readCsv } from '../../cli/csv-reader.js'
import { seeded } from '../seeded.js'

test('rows are read as RFC 4180 has them, with either end of line and without one at the end', async () => {
  const expected = [
    ['id', 'note'],
    ['a', 'says "hi", and\nleaves'],
    ['b', ''],
    ['', 'c'],
  ]
  const text = 'id,note\na,"says ""hi"", and\nleaves"\nb,\n"",c'
  assert.deepEqual(await cells(text), expected)
  assert.deepEqual(await cells(`${text}\n`), expected)
  assert.deepEqual(await cells(text.replaceAll('\n', '\r\n').replace('and\r\n', 'and\n')), expected)
  assert.deepEqual(await cells('\ufeffid\r\n"x"\r\n'), [['id'], ['x']], 'with the mark of UTF-8')
  assert.deepEqual(await cells('a\n\nb'), [['a'], [''], ['b']])
  assert.deepEqual(await cells('"a\r\nb"'), [['a\r\nb']])
  assert.deepEqual(await cells(''), [])
})

test('wherever the bytes are cut, the rows are the same', async () => {
  const text = '\ufeffid,note\r\nä,"€ ""𝄞"",\r\n"\r\n,""\r\n'
  const bytes = Buffer.from(text)
  const whole = await rowsOf([bytes])
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.deepEqual(await rowsOf([bytes.subarray(0, cut), bytes.subarray(cut)]), whole, `cut at ${cut}`)
  }
  assert.deepEqual(await rowsOf([...bytes].map((byte) => Buffer.of(byte))), whole)
})

test('whatever cells hold, they come back as they were written', async () => {
  const below = seeded(11)
  const parts = ['a', '"', ',', '\n', '\r\n', 'ß', ' ', "'", ';', '\u0001x', '']
  for (let round = 0; round < 300; round++) {
    const rows = Array.from({ length: 1 + below(4) }, () =>
      Array.from({ length: 2 }, () => Array.from({ length: below(5) }, () => parts[below(parts.length)]).join('')),
    )
    const text = rows.map((row) => row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(',')).join('\r\n')
    assert.deepEqual(await cells(text), rows, JSON.stringify(text))
  }
})

test('a row is counted as a spreadsheet counts it, whatever is inside its quotes', async () => {
  const rows = await rowsOf([Buffer.from('id\n"a\n\n"\n\nb\n')])
  assert.deepEqual(
    rows.map(({ row, cells: [first] }) => [row, first]),
    [
      [1, 'id'],
      [2, 'a\n\n'],
      [3, ''],
      [4, 'b'],
    ],
  )
})

test('what is no CSV is refused with its row', async () => {
  await refused('id\na"b\n', /^row 2: a quote inside a cell/)
  await refused('id\n"a"b\n', /^row 2: text behind a closing quote/)
  await refused('id\n"a\n\n', /^row 2: a quote is not closed/)
  await refused('id\ra\r', /^row 1: a carriage return that ends no line/)
  await refused(`id\n"${'x\n'.repeat(maxRowCharacters)}`, /^row 2: longer than \d+ characters; is a quote not closed/)
  await refused('x'.repeat(4 * maxRowCharacters + 1), /a line is longer than/)
})

test('another encoding is named, with the row where it shows and with what mends it', async () => {
  const latin = Buffer.from('id,note\na,fine\nb,caf\u00e9\nc,x\n', 'latin1')
  const message = /^row 3: not UTF-8, perhaps Latin-1 or Windows-1252\. .* iconv -f WINDOWS-1252/
  await assert.rejects(rowsOf([latin]), { code: 'CSV_INVALID', message })
  const utf16 = Buffer.from('id,note\na,b\n', 'utf16le')
  for (const bytes of [utf16, Buffer.concat([Buffer.of(0xff, 0xfe), utf16]), Buffer.from(utf16).swap16()]) {
    await assert.rejects(rowsOf([bytes]), { code: 'CSV_INVALID', message: /^the file is UTF-16/ })
  }
  await assert.rejects(rowsOf([Buffer.from('PK\u0003\u0004..')]), { code: 'CSV_INVALID', message: /spreadsheet/ })
  for (const hostile of [
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xe2, 0x82],
  ]) {
    await assert.rejects(rowsOf([Buffer.from([0x61, 0x0a, ...hostile])]), { code: 'CSV_INVALID', message: /^row 2/ })
  }
})

async function refused(text: string, message: RegExp): Promise<void> {
  await assert.rejects(cells(text), { code: 'CSV_INVALID', message }, text.slice(0, 40))
}

async function cells(text: string): Promise<readonly (readonly string[])[]> {
  return (await rowsOf([Buffer.from(text)])).map(({ cells }) => cells)
}

async function rowsOf(chunks: readonly Uint8Array[]) {
  const rows = []
  for await (const some of readCsv(piecewise(chunks))) rows.push(...some)
  return rows
}

async function* piecewise(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void> {
  yield* chunks
}
