import type { Measured } from '../parts.js'
import { percentile } from '../percentile.js'
import type { Latencies } from '../neighbours/pair.js'
import type { Options } from './options.js'
import { openStage } from './stage.js'

export const neighbourColumns = ['p50 ms', 'p99 ms', 'longest ms', 'p99 to calm', 'joins a second']

/** What joins at full rate cost two devices that talk to each other through the broker. */
export async function* measureNeighbours(folder: string, { joins, atOnce, seconds }: Options): AsyncIterable<Measured> {
  const { live, crowd, end } = await openStage(folder)
  try {
    await crowd.come('tpm', joins >> 2, { atOnce })
    const calm = await live.pair.measure(2 * seconds)
    yield { row: 'calm', values: figuresOf(calm) }
    for (const [kind, row] of [
      ['token', 'token joins at full rate'],
      ['tpm', 'TPM joins at full rate'],
    ] as const) {
      await crowd.prepare(kind, joins)
      const arriving = crowd.arrive({ atOnce })
      const meanwhile = await live.pair.measure(2 * seconds)
      const { count, seconds: taken } = await arriving
      const ratio = percentile(meanwhile.sorted, 0.99) / percentile(calm.sorted, 0.99)
      yield { row, values: { ...figuresOf(meanwhile), 'p99 to calm': ratio, 'joins a second': count / taken } }
    }
  } finally {
    await end()
  }
}

function figuresOf({ sorted }: Latencies): Readonly<Record<string, number>> {
  return { 'p50 ms': percentile(sorted, 0.5), 'p99 ms': percentile(sorted, 0.99), 'longest ms': percentile(sorted, 1) }
}
