import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { WholeFile } from '../../cli/whole-file.js'

test('a file has its name when all of it is there, for its owner alone', async (t) => {
  const folder = temporaryFolder(t)
  const whole = await WholeFile.create(join(folder, 'b.tar'))
  for await (const piece of whole.keep(pieces('one', 'two'), new AbortController().signal)) {
    assert.ok(piece.length > 0)
    assert.ok(!readdirSync(folder).includes('b.tar'))
  }
  assert.equal((await whole.complete()).bytes, 6)
  await whole.leave()
  assert.deepEqual(readdirSync(folder), ['b.tar'])
  assert.equal(readFileSync(join(folder, 'b.tar'), 'utf8'), 'onetwo')
  assert.equal(statSync(join(folder, 'b.tar')).mode & 0o777, 0o600)
})

test('of one that breaks off, or is interrupted, nothing is left', async (t) => {
  const folder = temporaryFolder(t)
  const stop = new AbortController()
  const cut = await WholeFile.create(join(folder, 'b.tar'))
  await assert.rejects(drained(cut.keep(breakingOff(), stop.signal)), { message: 'the server has gone' })
  await cut.leave()
  const interrupted = await WholeFile.create(join(folder, 'b.tar'))
  stop.abort(new Error('Ctrl-C'))
  await assert.rejects(drained(interrupted.keep(pieces('one'), stop.signal)), { message: 'Ctrl-C' })
  await interrupted.leave()
  assert.deepEqual(readdirSync(folder), [])
})

test('a file that is there stays as it is', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'b.tar'), 'last night')
  await assert.rejects(WholeFile.create(join(folder, 'b.tar')), { code: 'CANNOT_WRITE' })
  assert.deepEqual(readdirSync(folder), ['b.tar'])
  assert.equal(readFileSync(join(folder, 'b.tar'), 'utf8'), 'last night')
})

async function drained(pieces: AsyncIterable<Buffer>): Promise<number> {
  let bytes = 0
  for await (const piece of pieces) bytes += piece.length
  return bytes
}

async function* pieces(...all: readonly string[]): AsyncGenerator<Buffer, void> {
  for (const one of all) yield Buffer.from(one)
}

async function* breakingOff(): AsyncGenerator<Buffer, void> {
  yield Buffer.from('one')
  throw new Error('the server has gone')
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-whole-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}
