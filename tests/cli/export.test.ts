import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import test from 'node:test'
import type { Record } from '../../cli/commands/audit/record.js'
import { encodingOf, exportFormats } from '../../cli/export/formats.js'
import { PartFile } from '../../cli/export/part-file.js'
import { run, temporaryFolder, up } from '../server/running.js'

const origin = 'plant.example/audit'
const publish: Record = {
  ...{ sequence: 14, time: '2026-11-23T00:02:02.218Z', event: 'message.publish', device: 'd1' },
  ...{ topic: 'a/b', decision: 'allow', rules: ['r/one', 'r/two'], qos: 1, novel: { deep: [1] } },
}

test('a record is one line in every format, whatever it holds, and the line says its place', () => {
  const hostile = [
    'a\nb',
    'a\r\nb',
    '\u001b[2J',
    '\u202e',
    '"',
    ',',
    "'",
    '\u2028',
    '\u0000',
    '=1+1',
    '\ud800',
    '"sequence":9,',
  ]
  for (const format of exportFormats) {
    const { encode, sequenceOf } = encodingOf(format, origin)
    for (const text of hostile) {
      const record = { ...publish, device: text, topic: text, comment: text, [text]: text }
      const line = encode(record)
      assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\u2028\u2029]/u, `${format}: ${line}`)
      assert.equal(sequenceOf(line), 14, `${format}: ${line}`)
    }
    for (const other of ['', 'sequence', '{}', 'x,14'])
      assert.ok(Number.isNaN(sequenceOf(other)), `${format}: ${other}`)
  }
})

test('no spreadsheet calculates what a device has sent', () => {
  const { encode, header } = encodingOf('csv', origin)
  assert.match(header ?? '', /^sequence,time,event,device,/)
  for (const formula of ['=HYPERLINK("x")', '+1', '-1', '@SUM(1)', '＝1']) {
    const line = encode({ sequence: 1, time: 't', event: 'e', topic: formula })
    assert.ok(line.includes(`"'${formula.replaceAll('"', '""')}"`), line)
  }
  assert.match(encode(publish), /^14,2026-11-23T00:02:02\.218Z,message\.publish,d1,,,a\/b,allow,,r\/one r\/two,/)
  assert.match(encode(publish), /,"\{""novel"":\{""deep"":\[1\]\}\}"$/)
})

test('a CloudEvent has what version 1.0 asks for, and the class of OCSF where one fits', () => {
  const { encode } = encodingOf('cloudevents', origin)
  assert.deepEqual(JSON.parse(encode(publish)), {
    specversion: '1.0',
    id: 'plant.example/audit/14',
    source: '//plant.example/audit',
    type: 'io.touchmark.audit.message.publish',
    time: '2026-11-23T00:02:02.218Z',
    subject: 'd1',
    datacontenttype: 'application/json',
    ocsfclass: 6003,
    ocsftype: 600_301,
    data: publish,
  })
  const plain = JSON.parse(encode({ sequence: 1, time: 't', event: 'toString' })) as object
  assert.deepEqual(Object.keys(plain), ['specversion', 'id', 'source', 'type', 'time', 'datacontenttype', 'data'])
})

test('an export is there whole or not at all, and goes on where it was broken off', async (t) => {
  const folder = temporaryFolder(t)
  const running = await up(folder)
  t.after(() => running.stop())
  const out = join(folder, 'log.csv')
  const query = ['--format', 'csv', 'until:2100-01-01']
  const exporting = () => run(folder, ['audit', 'export', ...query, '--out', out])
  const parts = () => readdirSync(folder).filter((name) => name.endsWith('.part'))

  mkdirSync(out) // in the way, so that the file cannot take its name
  const failed = await exporting()
  assert.deepEqual([failed.code, /\[CANNOT_WRITE\]/.test(failed.stderr)], [1, true])
  const [part = ''] = parts()
  const whole = readFileSync(join(folder, part), 'utf8')
  assert.ok(failed.stderr.includes(part))

  rmdirSync(out)
  const lines = whole.trimEnd().split('\n')
  writeFileSync(join(folder, part), `${lines.slice(0, 3).join('\n')}\n${lines[3]?.slice(0, 5)}`)
  const resumed = await exporting()
  assert.deepEqual([resumed.code, resumed.stdout], [0, ''])
  assert.match(resumed.stderr, /Going on with .* behind record 1\./)
  const exported = readFileSync(out, 'utf8')
  assert.ok(exported.startsWith(whole), exported)
  const sequences = exported
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => Number(line.split(',')[0]))
  assert.deepEqual(sequences, [...sequences.keys()])
  assert.deepEqual(parts(), [])

  const stdout = await run(folder, ['audit', 'export', ...query, '--limit', '2'])
  assert.equal(stdout.stdout, `${lines.slice(0, 3).join('\n')}\n`)
  const searched = await run(folder, ['-o', 'csv', 'audit', 'search', 'order:oldest', '--limit', '2'])
  assert.equal(searched.stdout, stdout.stdout, 'a search writes the same CSV')
})

test('a line of an export names its place in the log, and is what a proof of that place shows', async (t) => {
  const folder = temporaryFolder(t)
  const running = await up(folder)
  t.after(() => running.stop())
  const verifierKey = join(folder, 'data', 'operator', 'audit.vkey')
  const { stdout: ndjson } = await run(folder, ['audit', 'export'])
  const { stdout: events } = await run(folder, ['audit', 'export', '--format', 'cloudevents'])
  const lines = ndjson.trimEnd().split('\n')
  for (const sequence of [0, lines.length - 1]) {
    const proof = join(folder, `${sequence}.tlog-proof`)
    assert.equal((await run(folder, ['audit', 'prove', String(sequence), '-f', proof])).code, 0)
    const shown = await run(folder, ['audit', 'verify', '--proof', proof, '--vkey', verifierKey, '-o', 'json'])
    const { record, origin } = JSON.parse(shown.stdout) as { record: Record; origin: string }
    assert.equal(record.sequence, sequence)
    assert.deepEqual(JSON.parse(lines[sequence] ?? ''), record)
    const event = JSON.parse(events.split('\n')[sequence] ?? '') as { id: string; data: Record }
    assert.deepEqual([event.id, event.data], [`${origin}/${sequence}`, record])
  }
})

test('an export does not go on behind the part of another installation', async (t) => {
  const [one, other] = [temporaryFolder(t), temporaryFolder(t)]
  const [first, second] = [await up(one), await up(other)]
  const out = join(one, 'log')
  mkdirSync(out) // in the way, so that the part stays
  for (const folder of [one, other]) await run(folder, ['audit', 'export', '--out', out])
  const parts = readdirSync(one).filter((name) => name.endsWith('.part'))
  const [mine = '', its = ''] = parts.map((name) => readFileSync(join(one, name), 'utf8'))
  assert.ok(mine.startsWith('{"sequence":0,') && its.startsWith('{"sequence":0,'))
  assert.notEqual(mine.split('\n')[0], its.split('\n')[0])
  assert.deepEqual([await first.stop(), await second.stop()], [0, 0])
})

test('who follows the log sees it to its last record when the service stops, and cannot go on behind one of the past', async (t) => {
  const folder = temporaryFolder(t)
  const running = await up(folder)
  assert.equal((await run(folder, ['audit', 'tail', '-f', 'after:5'])).code, 2)
  const following = run(folder, ['audit', 'tail', '-f'], {
    onSpawn: (child) => child.stdout && void stopWhenFollowed(child.stdout),
  })
  async function stopWhenFollowed(stdout: Readable): Promise<void> {
    for await (const line of createInterface({ input: stdout })) if (/audit\.read .*follow/.test(line)) break
    await running.stop()
  }
  const { code, stdout, stderr } = await following
  assert.deepEqual([code, stderr], [0, 'The service has stopped.\n'])
  assert.match(stdout, / server\.stop +-\n$/)
})

test('a part is gone on with behind its last whole line, or begun anew where no line fits', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'log')
  const part = `${path}.kind.part`
  const fits = (line: string) => /^\d+$/.test(line)
  const cases: readonly (readonly [content: string, last: string | undefined, kept: string])[] = [
    ['', undefined, ''],
    ['1\n2\n', '2', '1\n2\n'],
    ['1\n2\n3', '2', '1\n2\n'],
    ['1', undefined, ''],
    ['1\nnot ours\n', undefined, ''],
    ['\n\n', undefined, ''],
  ]
  for (const [content, last, kept] of cases) {
    writeFileSync(part, content)
    const file = await PartFile.open(path, 'kind')
    assert.equal(await file.lastLine(fits), last, JSON.stringify(content))
    await file.append('9\n')
    await file.complete()
    assert.equal(readFileSync(path, 'utf8'), `${kept}9\n`)
    assert.ok(!existsSync(part))
  }
  symlinkSync(join(folder, 'elsewhere'), part)
  await assert.rejects(PartFile.open(path, 'kind'), { code: 'CANNOT_WRITE' })
})
