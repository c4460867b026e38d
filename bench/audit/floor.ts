import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Batch } from './load.js'

export interface Floor {
  readonly seconds: number
  readonly cpuSeconds: number
}

/** Writes and syncs the same bytes in the same batches, each as soon as the disk is ready. */
export function measureFloor(folder: string, batches: readonly Batch[]): Floor {
  const disk = openPlain(folder, batches)
  const cpu = process.cpuUsage()
  const start = performance.now()
  for (const batch of batches) disk.append(batch)
  const seconds = (performance.now() - start) / 1000
  disk.close()
  return { seconds, cpuSeconds: cpuSecondsSince(cpu) }
}

/**
 * The same when records come as they came to the log: each batch is written as soon as its last record is there and the
 * disk is ready. Returns of each record how long it waited, in milliseconds: from when it came, as for the log's, so that
 * a stall of the disk counts for all that come meanwhile and not for one batch alone.
 * @param came of each record, by `performance.now()`
 */
export async function measureFloorInTime(
  folder: string,
  batches: readonly Batch[],
  came: Float64Array,
): Promise<Float64Array> {
  const disk = openPlain(folder, batches)
  const waited = new Float64Array(came.length)
  const shift = performance.now() - (came[0] ?? 0)
  let at = 0
  for (const batch of batches) {
    const end = at + batch.records
    await until((came[end - 1] ?? 0) + shift)
    disk.append(batch)
    const now = performance.now() - shift
    for (; at < end; at++) waited[at] = now - (came[at] ?? 0)
  }
  disk.close()
  return waited
}

function openPlain(folder: string, batches: readonly Batch[]) {
  const file = openSync(join(folder, 'floor'), 'w')
  const bytes = Buffer.alloc(Math.max(0, ...batches.map((batch) => batch.bytes)), 0x61)
  return {
    append(batch: Batch): void {
      writeSync(file, bytes, 0, batch.bytes)
      fdatasyncSync(file)
    },
    close: () => closeSync(file),
  }
}

/** A timer is up to a millisecond late: so the last two are spent looking at the clock. */
async function until(moment: number): Promise<void> {
  const early = moment - performance.now()
  if (early > 2) await wait(early - 2)
  while (performance.now() < moment);
}

/** Of all threads, kernel included. */
export function cpuSecondsSince(earlier: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(earlier)
  return (user + system) / 1_000_000
}
