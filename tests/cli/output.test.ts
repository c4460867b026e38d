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
  assert.equal(csvLine(cells), `a,"a,b","a""b","a'b","a;b","a\nb",,-1,0.5`)
  for (const sign of ['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
    for (const before of ['', 'x;', 'x\n', 'x;y;']) {
      assert.equal(csvLine([`${before}${sign}cmd()`]), `"${before}'${sign}cmd()"`)
    }
    assert.equal(csvLine([`x${sign}y`]), `x${sign}y`)
  }
  assert.equal(csvLine(['\t=1', '\r=1', '\u0000=1', '\u001b[2J']), '\\u{9}=1,\\u{d}=1,\\u{0}=1,\\u{1b}[2J')
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

/** What stands on stdout for one record, without its line end. */
function line(format: Format, record: Record): string {
  let written = ''
  const stdout = new Writable({
    write(chunk, _encoding, done) {
      written += String(chunk)
      done()
    },
  })
  recordPrinter(new Output(format, { stdout, stderr: stdout, env: {} }))(record)
  return written.replace(/\n$/, '')
}
