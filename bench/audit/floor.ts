import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Batch } from './load.js'

export interface Floor {
  readonly seconds: number
  readonly cpuSeconds: number
  /** Of each record: how long the write and the sync of its batch took, in milliseconds. */
  readonly latencies: Float64Array
}

/** Writes and syncs the same bytes in the same batches, as soon as the disk is ready or when the log did. */
export async function measureFloor(
  folder: string,
  batches: readonly Batch[],
  pace: 'at once' | 'in time',
): Promise<Floor> {
  const file = openSync(join(folder, 'floor'), 'w')
  const bytes = Buffer.alloc(Math.max(0, ...batches.map((batch) => batch.bytes)), 0x61)
  const latencies = new Float64Array(batches.reduce((sum, { records }) => sum + records, 0))
  const cpu = process.cpuUsage()
  const start = performance.now()
  const first = batches[0]?.at ?? 0
  let at = 0
  for (const batch of batches) {
    const early = batch.at - first - (performance.now() - start)
    if (pace === 'in time' && early > 0) await wait(early)
    const before = performance.now()
    writeSync(file, bytes, 0, batch.bytes)
    fdatasyncSync(file)
    latencies.fill(performance.now() - before, at, at + batch.records)
    at += batch.records
  }
  const seconds = (performance.now() - start) / 1000
  closeSync(file)
  return { seconds, cpuSeconds: cpuSecondsSince(cpu), latencies }
}

/** Of all threads, kernel included. */
export function cpuSecondsSince(earlier: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(earlier)
  return (user + system) / 1_000_000
}
