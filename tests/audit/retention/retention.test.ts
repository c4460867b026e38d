import assert from 'node:assert/strict'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AuditLog, verifyLog } from '#audit'
import { isConsistent, proveConsistency } from '../../../audit/proof/consistency.js'
import { TileNodes } from '../../../audit/proof/nodes.js'
import { LogReader } from '../../../audit/reading/reader.js'
import { parseCheckpoint } from '../../../audit/tree/checkpoint.js'
import { createForgetfulWorld, day, type ForgetfulWorld, sequencesOf } from './world.js'

test('bundles go when all their records are older than is kept; the log says so before, and verifies after', async (context) => {
  const world = await createForgetfulWorld(context, [1 * day, 2 * day, 3 * day, 9 * day])
  const log = await world.reopen()
  world.clock.now = 10 * day
  const retention = await world.look({ days: 7.5 })

  assert.deepEqual(await world.bundles(), [2, 3, 4])
  assert.equal(retention.latest?.minimumIndex, 512)
  assert.deepEqual(await saidBy(world, log), [{ formerMinimumIndex: 0, minimumIndex: 512, reason: 'age' }])
  assert.equal(await readFile(join(world.directory, 'log/minimum'), 'utf8'), `512\n${log.size - 1}\n`)

  await log.close()
  const { ok, size, gone } = await verifyLog(world.directory, log.verifierKey)
  assert.deepEqual({ ok, size, gone }, { ok: true, size: log.size, gone: 512 })
})

test('bundles go from the front when they take more than they may', async (context) => {
  const world = await createForgetfulWorld(context, [0, 0, 0, 0])
  const all = (await world.look({})).latest?.bytes ?? 0
  const retention = await world.look({ bytes: all / 2 })
  assert.deepEqual(await world.bundles(), [3, 4])
  const left = retention.latest
  assert.ok(left && left.bytes <= all / 2 && left.bytes > all / 4)
})

test('a bundle with one young record stays, and so does all behind it, however old a clock that was set back made it', async (context) => {
  const world = await createForgetfulWorld(context, [1 * day, [2 * day, 50 * day, 2 * day, 2 * day], 1 * day, 1 * day])
  world.clock.now = 20 * day
  await world.look({ days: 7 })
  assert.deepEqual(await world.bundles(), [1, 2, 3, 4])
  world.clock.now = 60 * day
  await world.look({ days: 7 })
  assert.deepEqual(await world.bundles(), [4])
})

test('a clock that was set back takes nothing away', async (context) => {
  const world = await createForgetfulWorld(context, [5 * day, 5 * day])
  world.clock.now = 1 * day
  await world.look({ days: 3 })
  assert.deepEqual(await world.bundles(), [0, 1, 2])
})

test('nothing goes that the write-ahead log would make again, nor the last bundle', async (context) => {
  const world = await createForgetfulWorld(context, [0, 0])
  world.clock.now = 100 * day
  await world.look({ days: 1, bytes: 1 })
  assert.deepEqual(await world.bundles(), [2])
})

test('nothing goes before everyone has read it, and nothing at all where someone cannot', async (context) => {
  const world = await createForgetfulWorld(context, [0, 0])
  const log = await world.reopen()
  world.release = () => Promise.reject(new Error('the store has failed'))
  await world.lookMuchLater()
  assert.deepEqual(await world.bundles(), [0, 1, 2])
  assert.match(world.warnings.join(), /the store has failed/)
  assert.deepEqual(await saidBy(world, log), [])

  let asked: readonly unknown[] = []
  world.release = async (minimumIndex) => {
    asked = [minimumIndex, await world.bundles()]
  }
  await world.lookMuchLater()
  assert.deepEqual(asked, [512, [0, 1, 2]])
})

test('nothing goes while somebody copies the log, and what was to go goes when he is done', async (context) => {
  const world = await createForgetfulWorld(context, [0, 0])
  await world.reopen()
  const retention = await world.look({ days: 1 })
  world.clock.now = 100 * day
  const letGo = [await retention.hold(), await retention.hold()]
  for (const one of letGo) {
    await retention.look()
    assert.deepEqual(await world.bundles(), [0, 1, 2])
    one()
  }
  await retention.look()
  assert.deepEqual(await world.bundles(), [2])
})

test('who reads what has gone is told so, who asks for no beginning begins with what is kept', async (context) => {
  const world = await createForgetfulWorld(context, [0, 0, 0])
  const log = await world.reopen()
  await world.lookMuchLater()
  const { durable } = log
  const kept = Array.from({ length: durable + 1 - 768 }, (_, at) => 768 + at)
  await assert.rejects(sequencesOf(log.records(0)), { code: 'AUDIT_GONE', sequence: 0 })
  await assert.rejects(sequencesOf(log.records(767)), { code: 'AUDIT_GONE' })
  assert.deepEqual(await sequencesOf(log.records(768)), kept)
  const reader = new LogReader(world.directory)
  assert.deepEqual(await sequencesOf(reader.backward(durable)), kept.toReversed())
  assert.deepEqual(await sequencesOf(log.follow({ limit: kept.length })), kept)
  assert.deepEqual(await sequencesOf(log.follow({ after: 767, limit: kept.length })), kept)
  await assert.rejects(sequencesOf(log.follow({ after: 766 })), { code: 'AUDIT_GONE', sequence: 767 })
})

test('who follows and is overtaken is told where the log begins now', async (context) => {
  const world = await createForgetfulWorld(context, [0, 0, 0])
  const log = await world.reopen()
  const following = log.follow({ limit: 400 })
  assert.equal((await following.next()).value?.sequence, 0)
  await world.lookMuchLater()
  const seen: number[] = []
  const reading = async () => {
    for await (const { sequence } of following) seen.push(sequence)
  }
  await assert.rejects(reading(), { code: 'AUDIT_GONE', sequence: 256, message: /begins with record 768$/ })
  assert.deepEqual([seen.at(0), seen.at(-1)], [1, 255])
})

test('it goes on from where it was, and a log that nothing was taken from has no minimum', async (context) => {
  const world = await createForgetfulWorld(context, [1 * day, 2 * day, 3 * day])
  world.clock.now = 3 * day
  await world.look({ days: 1.5 })
  assert.deepEqual(await world.bundles(), [1, 2, 3])
  const log = await world.reopen()
  await world.look({ days: 1.5 })
  world.clock.now = 4 * day
  await world.look({ days: 1.5 })
  assert.deepEqual(await world.bundles(), [2, 3])
  assert.deepEqual(await saidBy(world, log), [
    { formerMinimumIndex: 0, minimumIndex: 256, reason: 'age' },
    { formerMinimumIndex: 256, minimumIndex: 512, reason: 'age' },
  ])
})

test('a checkpoint from before is still proven to be of a beginning of the log', async (context) => {
  const world = await createForgetfulWorld(context, [0, 0, 0])
  const log = await world.reopen()
  const older = parseCheckpoint(log.checkpoint())
  await world.lookMuchLater()
  await log.close()
  const newer = parseCheckpoint(log.checkpoint())
  assert.ok(newer.size > older.size)
  const nodes = new TileNodes(world.directory)
  assert.ok(isConsistent(older, newer, await proveConsistency(older.size, newer.size, nodes.read)))
  const proof = await proveConsistency(100, newer.size, nodes.read) // of a size within what has gone
  assert.ok(proof.length > 0)
})

test('a minimum that the log itself does not name is found out, and nothing goes by it', async (context) => {
  const world = await createForgetfulWorld(context, [0, 0, 0, 0])
  const log = await world.reopen()
  world.clock.now = 100 * day
  await world.look({ bytes: 50_000 })
  const minimum = join(world.directory, 'log/minimum')
  const [index = 0, record = 0] = (await readFile(minimum, 'utf8')).split('\n').map(Number)
  const before = await world.bundles()
  const bad = async (text: string) => {
    await writeFile(minimum, text)
    const { ok, firstBad } = await verifyLog(world.directory, log.verifierKey)
    await world.look({ days: 1 })
    assert.equal(ok, false, text)
    assert.deepEqual(await world.bundles(), before, text)
    return firstBad?.index
  }
  await log.whenDurable(log.size - 1)
  assert.equal(await bad(`${index + 256}\n${record}\n`), index)
  assert.equal(await bad(`${index + 256}\n${record - 1}\n`), 0)
  assert.equal(await bad(`${index + 256}\n${record + 5000}\n`), 0)
  assert.equal(await bad(`${index + 1}\n${record}\n`), 0)
  assert.equal(await bad('anything'), 0)
  assert.equal(world.warnings.length, 5)
})

test('a bundle that is missing above the minimum is damage, and so is a hash that is not as it was below it', async (context) => {
  const world = await createForgetfulWorld(context, [0, 0, 0, 0])
  const log = await world.reopen()
  await world.lookMuchLater()
  await log.close()
  const at = (name: string) => join(world.directory, name)
  const firstBad = async () => (await verifyLog(world.directory, log.verifierKey)).firstBad?.index

  const bundle = await readFile(at('log/tile/entries/004'))
  await rm(at('log/tile/entries/004'))
  assert.equal(await firstBad(), 1024)
  await writeFile(at('log/tile/entries/004'), bundle)
  assert.equal(await firstBad(), undefined)

  const tile = await readFile(at('log/tile/0/001'))
  await writeFile(at('log/tile/0/001'), flipped(tile, 7))
  assert.equal(await firstBad(), 256)
  await rm(at('log/tile/0/001'))
  assert.equal(await firstBad(), 256)
})

test('an older copy with the minimum of a newer log is found out', async (context) => {
  const world = await createForgetfulWorld(context, [0, 0, 0, 0])
  const log = await world.reopen()
  const copy = join(world.directory, 'copy')
  await cp(join(world.directory, 'log'), join(copy, 'log'), { recursive: true })
  assert.equal((await verifyLog(copy, log.verifierKey)).ok, true)
  await world.lookMuchLater()
  await cp(join(world.directory, 'log/minimum'), join(copy, 'log/minimum'))
  const { ok, firstBad } = await verifyLog(copy, log.verifierKey)
  assert.equal(ok, false)
  assert.match(firstBad?.what ?? '', /log\/minimum names record/)
})

test('a copy of log/ alone says what was taken away, and verifies', async (context) => {
  const world = await createForgetfulWorld(context, [0, 0, 0, 0])
  const log = await world.reopen()
  await world.lookMuchLater()
  const copy = join(world.directory, 'copy')
  await cp(join(world.directory, 'log'), join(copy, 'log'), { recursive: true })
  const { ok, gone, firstBad } = await verifyLog(copy, log.verifierKey)
  assert.deepEqual({ ok, gone, firstBad }, { ok: true, gone: 1024, firstBad: undefined })
})

/** What the log says of what it has let go. */
async function saidBy({ directory }: ForgetfulWorld, log: AuditLog): Promise<readonly object[]> {
  const said: object[] = []
  const reader = new LogReader(directory)
  for await (const record of reader.forward(await reader.first(), log.durable)) {
    if (record.event !== 'log.retention') continue
    const { formerMinimumIndex, minimumIndex, reason } = record
    said.push({ formerMinimumIndex, minimumIndex, reason })
  }
  return said
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
  return copy
}
