import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { startWorker, workerOf } from '../../audit/writing/writer-link.js'
import { cpuSecondsSince, measureFloor } from './floor.js'
import { appendAll, type Batch, openLog } from './load.js'
import type { Options } from './options.js'
import type { Measured } from '../parts.js'

export const pipelineColumns = [
  'records per CPU-second',
  'records per second',
  'of the floor',
  'CPU µs per record',
  'bytes per record',
  'in whole blocks',
]

const leaves = {
  'leaf per record': startWorker,
  'blocks of 250 records': workerOf(new URL('./block-worker.js', import.meta.url)),
}

/** From the first append until everything is durable, in the tree, covered by a checkpoint and settled. */
export async function* measurePipeline(folder: string, { records }: Options): AsyncIterable<Measured> {
  for (const [row, startWriter] of Object.entries(leaves)) {
    const own = join(folder, row)
    const warmUp = await openLog(join(own, 'warm-up'), startWriter)
    await appendAll(warmUp.log, Math.min(records, 50_000))
    await warmUp.log.close()

    const { log, batches } = await openLog(own, startWriter)
    const cpu = process.cpuUsage()
    const start = performance.now()
    await appendAll(log, records)
    await log.close()
    const taken = { seconds: (performance.now() - start) / 1000, cpuSeconds: cpuSecondsSince(cpu) }
    const floor = measureFloor(own, batches)
    const kept = await bytesBelow(join(own, 'audit', 'log'))
    yield { row, values: valuesOf(log.size, taken, floor, kept) }
    const written = sumOf(batches)
    if (row === 'leaf per record') yield { row: 'floor', values: valuesOf(log.size, floor, floor, { bytes: written }) }
  }
}

interface Taken {
  readonly seconds: number
  readonly cpuSeconds: number
}

interface Kept {
  readonly bytes: number
  /** As the file system keeps them: a file takes whole blocks. */
  readonly inBlocks?: number
}

function valuesOf(records: number, taken: Taken, floor: Taken, { bytes, inBlocks = NaN }: Kept): Measured['values'] {
  return {
    'records per CPU-second': records / taken.cpuSeconds,
    'records per second': records / taken.seconds,
    'of the floor': floor.seconds / taken.seconds,
    'CPU µs per record': (1e6 * taken.cpuSeconds) / records,
    'bytes per record': bytes / records,
    'in whole blocks': inBlocks / records,
  }
}

function sumOf(batches: readonly Batch[]): number {
  return batches.reduce((sum, batch) => sum + batch.bytes, 0)
}

async function bytesBelow(folder: string): Promise<Required<Kept>> {
  const kept = { bytes: 0, inBlocks: 0 }
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const { size, blocks } = await stat(join(entry.parentPath, entry.name))
    kept.bytes += size
    kept.inBlocks += 512 * blocks
  }
  return kept
}
