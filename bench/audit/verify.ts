import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { verifyLog } from '#audit'
import { cpuSecondsSince } from './floor.js'
import { appendAll, openLog } from './load.js'
import type { Options } from './options.js'
import type { Measured } from '../parts.js'

export const verifyColumns = ['records per CPU-second', 'records per second']

/** All that `audit verify` does to a folder: signature, entries, bundles, tiles, root and write-ahead log. */
export async function* measureVerify(folder: string, { records }: Options): AsyncIterable<Measured> {
  const { log } = await openLog(folder)
  await appendAll(log, records)
  await log.close()
  for (const threads of new Set([1, availableParallelism()])) {
    const cpu = process.cpuUsage()
    const start = performance.now()
    const { ok, size, firstBad } = await verifyLog(join(folder, 'audit'), log.verifierKey, { threads })
    const seconds = (performance.now() - start) / 1000
    if (!ok || size < log.size) throw new Error(`${size} of ${log.size} records: ${firstBad?.what ?? 'not covered'}`)
    yield {
      row: threads === 1 ? '1 thread' : `${threads} threads`,
      values: { 'records per CPU-second': size / cpuSecondsSince(cpu), 'records per second': size / seconds },
    }
  }
}
