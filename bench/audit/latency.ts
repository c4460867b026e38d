import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { AuditLog } from '#audit'
import { measureFloorInTime } from './floor.js'
import { appendMessage, openLog } from './load.js'
import type { Options } from './options.js'
import type { Measured } from '../parts.js'

export const latencyColumns = ['p50 ms', 'p99 ms', 'floor p50 ms', 'floor p99 ms', 'p99 / floor', 'records per sync']

const recordsPerSecond = [100, 1000, 10_000, 50_000]

/** How long a record waits for the disk, strict mode, at several rates. */
export async function* measureLatency(folder: string, { seconds }: Options): AsyncIterable<Measured> {
  for (const rate of recordsPerSecond) {
    const own = join(folder, String(rate))
    const { log, batches } = await openLog(own)
    await appendInTime(log, rate, Math.min(seconds, 1)) // to warm up
    batches.length = 0
    const { came, waited } = await appendInTime(log, rate, seconds)
    const written = [...batches]
    await log.close()
    const floor = await measureFloorInTime(own, written, came)
    const [p50, p99] = percentiles(waited)
    const [floorP50, floorP99] = percentiles(floor)
    yield {
      row: `${rate.toLocaleString('en')} records per second`,
      values: {
        'p50 ms': p50,
        'p99 ms': p99,
        'floor p50 ms': floorP50,
        'floor p99 ms': floorP99,
        'p99 / floor': p99 / floorP99,
        'records per sync': waited.length / written.length,
      },
    }
  }
}

interface Appended {
  /** Of each record, by `performance.now()`. */
  readonly came: Float64Array
  /** Of each record the milliseconds until it was durable. */
  readonly waited: Float64Array
}

/** Messages as they come due, each of two records. */
async function appendInTime(log: AuditLog, rate: number, seconds: number): Promise<Appended> {
  const messages = Math.ceil((rate * seconds) / 2)
  const first = log.size
  const came = new Float64Array(2 * messages)
  const waited = new Float64Array(2 * messages)
  let durable = 0
  const stop = log.onDurable((reached) => {
    const now = performance.now()
    for (; first + durable <= reached; durable++) waited[durable] = now - (came[durable] ?? 0)
  })
  const start = performance.now()
  for (let message = 0; message < messages;) {
    const due = Math.min(messages, (((performance.now() - start) / 1000) * rate) / 2)
    for (; message < due; message++) {
      came.fill(performance.now(), 2 * message, 2 * message + 2)
      appendMessage(log, message)
    }
    await wait(1)
  }
  await log.whenDurable(log.size - 1)
  stop()
  return { came, waited }
}

function percentiles(waited: Float64Array): readonly [p50: number, p99: number] {
  const sorted = waited.slice().sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
  return [at(0.5), at(0.99)]
}
