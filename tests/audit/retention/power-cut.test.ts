import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AuditEvent, type AuditRecord } from '#protocol'
import { verifyLog } from '#audit'
import { EntryBuffer } from '../../../audit/entries/entry-buffer.js'
import { isConsistent, proveConsistency } from '../../../audit/proof/consistency.js'
import { TileNodes } from '../../../audit/proof/nodes.js'
import { LogReader } from '../../../audit/reading/reader.js'
import { readMinimum } from '../../../audit/retention/minimum.js'
import { Pruner } from '../../../audit/retention/pruner.js'
import { parseCheckpoint, type TreeHead, verifierKeyOf } from '../../../audit/tree/checkpoint.js'
import { createDisk } from '../../../audit/writing/disk.js'
import { LogWriter } from '../../../audit/writing/writer.js'
import { seeded } from '../../seeded.js'
import { createForgetfulDisk } from '../forgetful-disk.js'
import { createWorld, origin, published } from '../world.js'

/** Small, so that bundles stand alone within some thousand records. */
const limits = { settleAfterMs: 0, maxWalBytes: 100_000, leastSegmentBytes: 20_000 }

/** Of so many moments one is tried. */
const oneOf = 20

interface Cut {
  readonly directory: string
  /** Records that were acknowledged. */
  readonly durable: number
  readonly heads: readonly TreeHead[]
  /** The highest minimum index that the log had said before. */
  readonly announced: number
}

for (const seed of [1, 2, 3]) {
  test(`whenever the power is cut, only what the log says is gone, and the rest goes at the next look (seed ${seed})`, async (context) => {
    const { directory, signingKey } = await createWorld(context)
    const random = seeded(seed)
    const options = { directory: join(directory, 'log'), origin, signingKey }
    const verifierKey = verifierKeyOf(origin, signingKey)
    const disk = createForgetfulDisk()
    const { writer } = await LogWriter.open(options, disk, limits)
    const pruner = new Pruner(options.directory, disk)
    const times: number[] = []
    const heads: TreeHead[] = []
    const cuts: Cut[] = []
    let announced = 0

    const write = (event: AuditEvent, count: number): number => {
      const buffer = new EntryBuffer()
      for (let left = count; left > 0; left--) {
        const time = times.length + random(300) // clocks are set back
        buffer.add({ sequence: times.length, time }, event)
        times.push(time)
      }
      writer.write(Buffer.from(buffer.take().records))
      return times.length - 1
    }
    const cover = async (): Promise<void> => {
      while (writer.grow());
      heads.push(parseCheckpoint(await writer.checkpoint()))
      await writer.settle(0)
    }
    const look = async (): Promise<void> => {
      const keep = random(2) === 0 ? { since: times.length - 700 - random(700) } : { bytes: 100_000 + random(100_000) }
      const { minimumIndex: formerMinimumIndex, prunable } = await pruner.survey({ keep })
      if (!prunable) return
      const { to: minimumIndex, reason } = prunable
      const record = write({ event: 'log.retention', formerMinimumIndex, minimumIndex, reason }, 1)
      announced = minimumIndex
      await cover()
      const left = await pruner.survey({ keep, minimum: { index: minimumIndex, record } })
      assert.equal(left.minimumIndex, minimumIndex)
    }
    disk.onStep = () => {
      if (random(oneOf) > 0) return
      const cut = join(directory, `cut-${cuts.length}`)
      disk.cutPower(options.directory, cut, random)
      cuts.push({ directory: cut, durable: writer.covered, heads: [...heads], announced })
    }

    while (times.length < 4000) {
      write(published(times.length), 1 + random(300))
      if (random(3) > 0) await cover()
      if (random(4) === 0) await look()
    }
    await cover()
    await writer.close()
    assert.ok(announced > 1000, `records below ${announced} went`)
    assert.ok(cuts.length > 5)

    for (const cut of cuts) {
      const again = await LogWriter.open({ ...options, directory: cut.directory }, createDisk(), limits)
      const { minimumIndex } = await new Pruner(cut.directory, createDisk()).survey({ keep: {} })
      await again.writer.close()
      const { size } = again.opened
      assert.ok(size >= cut.durable)
      assert.ok(minimumIndex <= cut.announced)

      const report = await verifyLog(cut.directory, verifierKey)
      assert.equal(report.firstBad, undefined)
      assert.deepEqual([report.size, report.gone], [size, minimumIndex])
      await requireKept(cut.directory, minimumIndex, size)
      await requirePrefixes(cut, report)
    }

    async function requireKept(folder: string, minimumIndex: number, size: number): Promise<void> {
      assert.equal((await readMinimum(folder))?.index ?? 0, minimumIndex)
      const reader = new LogReader(folder)
      const kept: AuditRecord[] = []
      for await (const record of reader.forward(await reader.first(), size - 1)) kept.push(record)
      assert.deepEqual(
        kept.map(({ sequence, time }) => [sequence, time]),
        times.slice(minimumIndex, size).map((time, at) => [minimumIndex + at, time]),
      )
    }
  })
}

/** Every checkpoint that was shown before is of a beginning of the log, whatever has gone since. */
async function requirePrefixes({ directory, heads }: Cut, report: { readonly size: number; readonly root: string }) {
  const newest = { size: report.size, root: Buffer.from(report.root, 'hex') }
  const nodes = new TileNodes(directory)
  for (const older of heads) {
    const proof = await proveConsistency(older.size, newest.size, nodes.read)
    assert.ok(isConsistent(older, newest, proof), `the first ${older.size} records`)
  }
}
