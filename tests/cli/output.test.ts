import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import test from 'node:test'
import { recordPrinter } from '../../cli/commands/audit/printer.js'
import { parseRecord, type Record } from '../../cli/commands/audit/record.js'
import { csvLine } from '../../cli/csv.js'
import { csvHeader, encodeCsvRecord } from '../../cli/export/csv.js'
import { type Format, Output } from '../../cli/output.js'

const place = { sequence: 14, time: '2026-11-23T00:02:02.218Z' }
const session = { device: 'd1', session: '7f090d4e', sessionIndex: 3 }
const publish = { ...place, ...session, event: 'message.publish', policyVersion: 2, action: 'publish', qos: 1, size: 5 }

test('a record is one line: when, what, which device, and what about it', () => {
  const allowed = { ...publish, topic: 'devices/d1/state', decision: 'allow', rules: ['device/state'] }
  const denied = { ...publish, topic: 'devices/d2/state', decision: 'deny', reason: 'no_rule', rules: [], count: 7 }
  const revoked = { ...place, event: 'device.revoke', device: 'd1', operator: 'ada', reason: 'keyCompromise', epoch: 1 }
  assert.deepEqual(
    [allowed, denied, revoked].map((record) => line('table', record)),
    [
      '2026-11-23 00:02:02.218Z  message.publish      d1                devices/d1/state  allowed  device/state',
      '2026-11-23 00:02:02.218Z  message.publish      d1                devices/d2/state  DENIED  no_rule  7 times',
      '2026-11-23 00:02:02.218Z  device.revoke        d1                keyCompromise  by ada',
    ],
  )
})

test('wide adds everything that the line leaves out, but whole certificates', () => {
  const record = { ...publish, topic: 'a', decision: 'allow', rules: ['r/one', 'r/two'], certificate: 'MII' }
  assert.match(
    line('wide', record),
    /a {2}allowed {2}r\/one,r\/two {2}sequence=14 session=7f090d4e sessionIndex=3 policyVersion=2 action=publish qos=1 size=5$/,
  )
})

test('CSV is what an export writes, in the same columns below the same header', () => {
  const denied = {
    ...publish,
    topic: '=1+1',
    decision: 'deny',
    rules: ['a/b', 'c/d'],
    origin: -1,
    payloadCommitment: 'AA',
  }
  assert.equal(line('csv', denied), `${csvHeader}\n${encodeCsvRecord(denied)}`)
  assert.match(
    line('csv', denied),
    /\n14,2026-11-23T00:02:02\.218Z,message\.publish,d1,7f090d4e,3,"'=1\+1",deny,,a\/b c\/d,2,/,
  )
})

test('a cell is one cell, and no formula, for a spreadsheet of any country', () => {
  const cells = ['a', 'a,b', 'a"b', "a'b", 'a;b', 'a\nb', '', -1, 0.5]
  assert.equal(csvLine(cells), `a,"a,b","a""b","a'b","a;b",a\\nb,,-1,0.5`)
  for (const sign of ['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
    for (const before of ['', 'x;', 'x;y;', "'", "x;'"]) {
      const cell = csvLine([`${before}${sign}cmd()`])
      assert.equal(cell, `"${before.replace(/'?$/, "'$&")}${sign}cmd()"`)
    }
    assert.equal(csvLine([`x${sign}y`]), `x${sign}y`)
  }
  assert.equal(csvLine(['\t=1', '\r=1', '\u0000=1', '\u001b[2J']), '\\u{9}=1,\\u{d}=1,\\u{0}=1,\\u{1b}[2J')
})

test('what was typed like an escape is told from what was escaped, in CSV and in a table', () => {
  const texts = [
    '\u001b',
    '\\u{1b}',
    '\\',
    '\\\\u{1b}',
    '\\\u001b',
    '\n',
    '\\n',
    'C:\\new',
    '=1',
    "'=1",
    "x;''=1",
    'x;=1',
  ]
  const column = { name: 'comment', of: (comment: string) => comment }
  const lines = (format: Format) =>
    written(format, (output) => output.list(texts, [column]))
      .split('\n')
      .slice(1)
  assert.deepEqual(lines('table').map(unescaped), texts)
  assert.deepEqual(
    lines('csv').flatMap((row) => readCsv(row).map(readCell)),
    texts,
  )
})

test('of a record too, and what stands in its details is JSON for any program', () => {
  for (const text of ['\u001b', '\\u{1b}', '\n', '\\n', 'say "hi"', "x;'=1", ';=cmd()', 'a,b']) {
    const cells = readCsv(encodeCsvRecord({ ...place, event: 'token.revoke', comment: text, novel: { text } }))
    assert.equal(readCell(cells[csvHeader.split(',').indexOf('comment')] ?? ''), text)
    assert.deepEqual(JSON.parse(cells.at(-1) ?? ''), { novel: { text } })
    assert.doesNotMatch(cells.at(-1) ?? '', /;/)
  }
})

test('of a record, too, what is shown bare or in quotes is one text only', () => {
  const shown = ['\\u001b', '\u001b', '\\u{1b}', '\\n', '\n', 'plain'].map((comment) =>
    line('table', { ...place, event: 'token.revoke', comment }).slice(65),
  )
  assert.deepEqual(shown, ['"\\\\u001b"', '"\\u001b"', '"\\\\u{1b}"', '"\\\\n"', '"\\n"', 'plain'])
})

test('JSON is the record as the server wrote it', () => {
  assert.deepEqual(JSON.parse(line('json', publish)), publish)
})

test('nothing from outside breaks the line, forges a field or steers the terminal', () => {
  for (const hostile of ['a\nb', 'a  allowed  x', 'a\u001b[2Jb', '\u202eb', 'a"b', 'a\u2028b', '\u0300b', 'a\r']) {
    for (const format of ['table', 'wide', 'csv'] as const) {
      const record = { ...publish, topic: hostile, decision: 'allow', rules: [], comment: hostile, [hostile]: hostile }
      const written = line(format, record).replace(`${csvHeader}\n`, '')
      assert.doesNotMatch(written, /[\p{Cc}\p{Cf}\u2028\u2029]/u, `${format}: ${written}`)
      if (format !== 'csv') assert.doesNotMatch(written, /(?<!")a {2}allowed {2}x/, `${format}: ${written}`)
    }
  }
})

test('an event of a later version is shown with all its fields, and what is no record is refused', () => {
  const text = JSON.stringify({ ...place, event: 'toString', device: 'd1', novel: { a: ['b', 1] } })
  assert.match(line('wide', parseRecord(text)), /toString {13}d1 {16} {2}sequence=14 novel=a=b,1$/)
  for (const bad of ['', '[]', 'null', '{"event":"a","time":"b"}', '{"sequence":1,"event":"a"}']) {
    assert.throws(() => parseRecord(bad), { code: 'BAD_ANSWER' })
  }
})

/** What stands on stdout for one record. */
function line(format: Format, record: Record): string {
  return written(format, (output) => recordPrinter(output)(record))
}

/** What an output was made to write, without the last line end. */
function written(format: Format, write: (output: Output) => void): string {
  let text = ''
  const stdout = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk)
      done()
    },
  })
  write(new Output(format, { stdout, stderr: stdout, env: {} }))
  return text.replace(/\n$/, '')
}

/** The cells of a line, as RFC 4180 has it. */
function readCsv(row: string): readonly string[] {
  const cells = row.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)
  return Array.from(cells, ([, quoted, bare = '']) => quoted?.replaceAll('""', '"') ?? bare)
}

/** What a cell was made of. */
function readCell(cell: string): string {
  return unescaped(cell.replace(/(^|;)'(?='*[=+\-@])/g, '$1'))
}

function unescaped(text: string): string {
  return text.replace(/\\(\\|n|u\{([0-9a-f]+)\})/g, (_escape, kind: string, hex: string | undefined) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
    return kind === 'n' ? '\n' : kind
  })
}
