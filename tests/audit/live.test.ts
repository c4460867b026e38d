import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { verifyLog } from '#audit'
import { verifierKeyOf } from '../../audit/tree/checkpoint.js'
import { LogReader } from '../../audit/reading/reader.js'
import { createWriter, origin } from './world.js'

test('however much lies above the checkpoint, a reader finds it and lets others have their turns', async (context) => {
  const { directory, append } = await createWriter(context)
  const count = 130_000
  append(count)
  let reading = true
  let turns = 0
  const takeTurns = (): void => {
    turns++
    if (reading) setImmediate(takeTurns)
  }
  takeTurns()
  let next = count
  for await (const { sequence } of new LogReader(directory).backward(count - 1)) assert.equal(sequence, --next)
  reading = false
  assert.equal(next, 0)
  assert.ok(turns > count / 1000, `${turns} turns`)
})

test('a verifier reads each bundle once, although checkpoints take the last ones away all the time', async (context) => {
  const { directory, signingKey, append, writer } = await createWriter(context)
  append(20_000)
  await writer.checkpoint()
  let verifying = true
  const progress: number[] = []
  const onProgress = (checked: number) => void progress.push(checked)
  const report = verifyLog(directory, verifierKeyOf(origin, signingKey), { onProgress })
  void report.finally(() => (verifying = false))
  while (verifying) {
    append(1)
    await writer.checkpoint()
  }
  const { ok, size, firstBad } = await report
  assert.ok(ok, firstBad?.what)
  assert.ok(size >= 20_000)
  const complete = progress.filter((checked) => checked < 20_000)
  assert.ok(complete.length > 1)
  assert.equal(new Set(complete).size, complete.length)
})

test('a checkpoint leaves no empty folders behind', async (context) => {
  const { directory, append, writer } = await createWriter(context)
  append(100)
  await writer.checkpoint()
  const folders = ['log/tile/0/000.p', 'log/tile/entries/000.p'].map((path) => join(directory, path))
  for (const folder of folders) assert.ok(existsSync(folder))
  append(200)
  await writer.checkpoint()
  for (const folder of folders) assert.ok(!existsSync(folder), folder)
})
