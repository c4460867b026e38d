import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { AuditLog, beginWal, LogCopy, verifierKeyOf, verifyLog } from '#audit'
import { appendMany, createWorld, createWriter, origin, published } from './world.js'

test('a copy is the log as its checkpoint has it, however far the log has grown meanwhile', async (t) => {
  const { directory, signingKey, writer, append } = await createWriter(t)
  for (const count of [1, 255, 1, 700, 67]) {
    append(count)
    const copy = new LogCopy(directory, await writer.checkpoint())
    append(300)
    await writer.checkpoint() // takes the partial files of the one before away
    const to = await writeCopy(t, copy)
    const report = await verifyLog(to, verifierKeyOf(origin, signingKey))
    assert.deepEqual([report.firstBad, report.size], [undefined, copy.size])
  }
})

test('a copy of a log that is being written to covers all that was appended before', async (t) => {
  const world = await createWorld(t)
  const log = await world.open()
  await appendMany(log, 1000)
  const last = log.append(published(1000))
  const copy = await log.copy()
  assert.ok(copy.size > last)
  const appending = appendMany(log, 1000)
  const to = await writeCopy(t, copy)
  await appending
  assert.equal((await verifyLog(to, log.verifierKey)).firstBad, undefined)
})

test('a log goes on from a copy, of whatever size, and has the copy as its beginning', async (t) => {
  for (const count of [1, 255, 256, 257, 512, 1000]) {
    const { directory, signingKey, writer, append } = await createWriter(t)
    append(count)
    const checkpoint = await writer.checkpoint()
    const to = await writeCopy(t, new LogCopy(directory, checkpoint))
    await beginWal(to)
    const log = await AuditLog.open({ directory: to, origin, signingKey, now: () => 0, reserveBytes: 64 * 1024 })
    assert.equal(log.size, count)
    await appendMany(log, 300)
    await log.close()
    const report = await verifyLog(to, log.verifierKey, { against: [checkpoint] })
    assert.deepEqual([report.ok, report.size], [true, count + 300], `${count}`)
  }
})

test('of a log that is not the one of the checkpoint nothing is copied to the end', async (t) => {
  const { directory, writer, append } = await createWriter(t)
  append(300)
  const other = await createWriter(t)
  other.append(299)
  await writer.checkpoint()
  const foreign = new LogCopy(directory, (await other.writer.checkpoint()).replace('299', '300'))
  await assert.rejects(writeCopy(t, foreign), { code: 'AUDIT_CORRUPT' })
})

/** The folder of a log that it was written to. */
async function writeCopy(t: TestContext, copy: LogCopy): Promise<string> {
  const to = mkdtempSync(join(tmpdir(), 'touchmark-copy-'))
  t.after(() => rmSync(to, { recursive: true }))
  for await (const { path, bytes } of copy.files()) {
    mkdirSync(dirname(join(to, 'log', path)), { recursive: true })
    writeFileSync(join(to, 'log', path), bytes)
  }
  return to
}
