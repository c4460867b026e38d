import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { verifyLog } from '#audit'
import { EntryBuffer } from '../../audit/entries/entry-buffer.js'
import { LogReader } from '../../audit/reading/reader.js'
import { parseCheckpoint, verifierKeyOf } from '../../audit/tree/checkpoint.js'
import { Frontier, hashLeaf } from '../../audit/tree/merkle.js'
import { recordsOf } from '../../audit/writing/wal-record.js'
import { LogWriter } from '../../audit/writing/writer.js'
import { createDisk } from '../../audit/writing/disk.js'
import { seeded } from '../seeded.js'
import { createForgetfulDisk, type ForgetfulDisk } from './forgetful-disk.js'
import { createWorld, origin, published } from './world.js'

/** Small, so that segments come and go within some thousand records. */
const limits = { settleAfterMs: 3000, maxWalBytes: 140_000, leastSegmentBytes: 20_000 }

/** Of so many moments one is tried. */
const oneOf = 8

for (const seed of [1, 2]) {
  test(`a power cut at any moment loses no record and leaves a whole log (seed ${seed})`, async (context) => {
    const { directory, signingKey } = await createWorld(context)
    const random = seeded(seed)
    const options = { directory: join(directory, 'log'), origin, signingKey }
    const model = createModel()
    const cuts: { readonly directory: string; readonly durable: number; readonly shown: number }[] = []
    const disk = createForgetfulDisk()
    let durable = 0
    let shown = 0

    const { writer } = await LogWriter.open(options, disk, limits)
    disk.onStep = () => {
      if (random(oneOf) > 0) return
      const cut = join(directory, `cut-${cuts.length}`)
      disk.cutPower(options.directory, cut, random)
      cuts.push({ directory: cut, durable, shown })
    }
    for (let now = 0; durable < 2500; now += random(2000)) {
      writer.write(model.batch(1 + random(200)))
      durable = model.size
      for (let turns = random(4); turns > 0; turns--) writer.grow()
      const covering = random(10) < 4 ? writer.checkpoint() : undefined
      writer.grow()
      await writer.settle(now) // while the checkpoint is on its way
      if (covering) shown = model.require(await covering)
    }
    while (writer.grow());
    shown = model.require(await writer.checkpoint())
    await writer.close()
    assert.ok(!(await readdir(join(options.directory, 'wal'))).includes('0000000000000000.seg'))
    assert.ok(cuts.length > 4)

    for (const cut of cuts) {
      const size = await requireWhole(cut.directory)
      assert.ok(size >= cut.durable && size >= cut.shown, `${size} of ${cut.durable} records`)
    }

    /** Starts on what a power cut left, has another one at once, and starts again. */
    async function requireWhole(cut: string): Promise<number> {
      const again = createForgetfulDisk()
      const first = await LogWriter.open({ ...options, directory: cut }, again, limits)
      again.cutPower(cut, `${cut}-twice`, random)
      await first.writer.close()
      const second = await LogWriter.open({ ...options, directory: `${cut}-twice` }, createDisk(), limits)
      await second.writer.close()
      for (const folder of [cut, `${cut}-twice`]) {
        const report = await verifyLog(folder, verifierKeyOf(origin, signingKey))
        assert.ok(report.ok, report.firstBad?.what)
        assert.deepEqual([report.size, report.root], [first.opened.size, model.rootAt(first.opened.size)])
        let next = 0
        for await (const { sequence } of new LogReader(folder).forward(0, report.size - 1))
          assert.equal(sequence, next++)
      }
      return first.opened.size
    }
  })
}

test('files settle when their time has come, or when too much stands in the write-ahead log', async (context) => {
  const { directory, signingKey } = await createWorld(context)
  const disk = createForgetfulDisk()
  const settled = countSettled(disk)
  const { writer } = await LogWriter.open({ directory, origin, signingKey }, disk, limits)
  const model = createModel()
  const cover = async (count: number) => {
    writer.write(model.batch(count))
    while (writer.grow());
    await writer.checkpoint()
  }
  const segments = async () => (await readdir(join(directory, 'wal'))).length

  await cover(256)
  await writer.settle(0)
  await writer.settle(limits.settleAfterMs - 1)
  assert.deepEqual([settled(), await segments()], [0, 2])
  await writer.settle(limits.settleAfterMs)
  assert.deepEqual([settled(), await segments()], [2, 1])
  for (let left = 10; left > 0; left--) await cover(256)
  assert.deepEqual([settled(), await segments()], [2, 11])
  await writer.settle(limits.settleAfterMs)
  assert.ok(settled() > 2 && settled() < 22, `${settled()} files`)
  await writer.close()
  assert.equal(await segments(), 1)
})

test('no segment goes before the checkpoint that covers it is on disk', async (context) => {
  const { directory, signingKey } = await createWorld(context)
  const disk = createDisk()
  const { writer } = await LogWriter.open({ directory, origin, signingKey }, disk, limits)
  const { replaceFile } = disk
  let letGo: () => void = () => undefined
  const held = new Promise<void>((resolve) => (letGo = resolve))
  disk.replaceFile = async (file) => await held.then(() => replaceFile(file))
  const isThere = async () => (await readdir(join(directory, 'wal'))).includes('0000000000000000.seg')

  writer.write(createModel().batch(8 * 256)) // more than may stand there
  while (writer.grow());
  const covering = writer.checkpoint()
  await writer.settle(0)
  assert.equal(await isThere(), true)
  letGo()
  await covering
  await writer.settle(0)
  assert.equal(await isThere(), false)
  await writer.close()
})

function countSettled(disk: ForgetfulDisk): () => number {
  const { settleFiles } = disk
  let settled = 0
  disk.settleFiles = async (folder, paths) => {
    settled += paths.length
    await settleFiles(folder, paths)
  }
  return () => settled
}

/** The records, in order, and the root that the tree has after each. */
function createModel() {
  const frontier = new Frontier()
  const root = () => Buffer.from(frontier.root(), 'latin1').toString('hex')
  const roots = [root()]
  return {
    get size() {
      return roots.length - 1
    },
    rootAt: (size: number) => roots[size],
    batch(count: number): Buffer {
      const buffer = new EntryBuffer()
      for (let sequence = roots.length - 1, left = count; left > 0; sequence++, left--) {
        buffer.add({ sequence, time: 0 }, published(sequence))
      }
      const records = Buffer.from(buffer.take().records)
      for (const entry of recordsOf(records)) {
        frontier.append(hashLeaf(entry))
        roots.push(root())
      }
      return records
    },
    /** The note says what the tree is at its size; gives the size. */
    require(note: string): number {
      const head = parseCheckpoint(note)
      assert.equal(Buffer.from(head.root).toString('hex'), roots[head.size])
      return head.size
    },
  }
}
