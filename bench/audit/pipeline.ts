import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { cpuSecondsSince, measureFloor } from './floor.js'
import { appendAll, openLog } from './load.js'
import type { Options } from './options.js'
import type { Measured } from './parts.js'

export const pipelineColumns = [
  'records per CPU-second',
  'records per second',
  'of the floor',
  'CPU µs per record',
  'bytes per record',
]

/** From the first append until everything is durable, in the tree, covered by a checkpoint and settled. */
export async function* measurePipeline(folder: string, { records }: Options): AsyncIterable<Measured> {
  const warmUp = await openLog(join(folder, 'warm-up'))
  await appendAll(warmUp.log, Math.min(records, 50_000))
  await warmUp.log.close()

  const { log, batches } = await openLog(folder)
  const cpu = process.cpuUsage()
  const start = performance.now()
  await appendAll(log, records)
  await log.close()
  const seconds = (performance.now() - start) / 1000
  const cpuSeconds = cpuSecondsSince(cpu)
  const floor = await measureFloor(folder, batches, 'at once')
  const speed = (taken: { readonly seconds: number; readonly cpuSeconds: number }) => ({
    'records per CPU-second': log.size / taken.cpuSeconds,
    'records per second': log.size / taken.seconds,
    'of the floor': floor.seconds / taken.seconds,
    'CPU µs per record': (1e6 * taken.cpuSeconds) / log.size,
  })
  const bytes = await bytesBelow(join(folder, 'audit', 'log'))
  yield {
    row: 'leaf per record',
    values: {
      ...speed({ seconds, cpuSeconds }),
      'bytes per record': bytes / log.size,
    },
  }
  yield {
    row: 'floor',
    values: { ...speed(floor), 'bytes per record': batches.reduce((sum, batch) => sum + batch.bytes, 0) / log.size },
  }
}

/** As the file system keeps them: a file takes whole blocks. */
async function bytesBelow(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += 512 * (await stat(join(entry.parentPath, entry.name))).blocks
  }
  return bytes
}
