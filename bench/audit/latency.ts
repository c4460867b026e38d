import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { AuditLog } from '#audit'
import { measureFloor } from './floor.js'
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
    const latencies = await appendInTime(log, rate, seconds)
    const written = [...batches]
    await log.close()
    const floor = await measureFloor(own, written, 'in time')
    const [p50, p99] = percentiles(latencies)
    const [floorP50, floorP99] = percentiles(floor.latencies)
    yield {
      row: `${rate.toLocaleString('en')} records per second`,
      values: {
        'p50 ms': p50,
        'p99 ms': p99,
        'floor p50 ms': floorP50,
        'floor p99 ms': floorP99,
        'p99 / floor': p99 / floorP99,
        'records per sync': latencies.length / written.length,
      },
    }
  }
}

/** Messages as they come due, and of each of their records the milliseconds until it was durable. */
async function appendInTime(log: AuditLog, rate: number, seconds: number): Promise<Float64Array> {
  const messages = Math.ceil((rate * seconds) / 2)
  const first = log.size
  const latencies = new Float64Array(2 * messages)
  let durable = 0
  const stop = log.onDurable((reached) => {
    const now = performance.now()
    for (; first + durable <= reached; durable++) latencies[durable] = now - (latencies[durable] ?? 0)
  })
  const start = performance.now()
  for (let message = 0; message < messages;) {
    const due = Math.min(messages, (((performance.now() - start) / 1000) * rate) / 2)
    for (; message < due; message++) {
      latencies.fill(performance.now(), 2 * message, 2 * message + 2)
      appendMessage(log, message)
    }
    await wait(1)
  }
  await log.whenDurable(log.size - 1)
  stop()
  return latencies
}

function percentiles(latencies: Float64Array): readonly [p50: number, p99: number] {
  const sorted = latencies.slice().sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
  return [at(0.5), at(0.99)]
}
