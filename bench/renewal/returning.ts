import type { Measured } from '../parts.js'
import { percentile } from '../percentile.js'
import { residentBytesOf } from '../processes.js'
import type { Options } from './options.js'
import { openStage, type Stage } from './stage.js'

export const returnColumns = [
  'all in after s',
  'connects a second',
  'p50 ms',
  'p99 ms',
  'retried',
  'refused',
  'neighbours p99 ms',
  'loop delay p99 ms',
  'server MB',
]

/** Every third has slept past its renewal window. */
const everyRenewing = 3
const atOnce = 16

/**
 * All devices of a fleet after a power cut: each comes back at some moment of the same minute, and tries as an agent does
 * until it is in. First so that the service is just idle, then with strangers at the door who try tokens all the time.
 */
export async function* measureReturn(folder: string, { herd, within }: Options): AsyncIterable<Measured> {
  const stage = await openStage(folder, herd)
  const { live, tell, end } = stage
  try {
    await tell({ do: 'join', count: herd, pace: { atOnce } })
    const count = herd.toLocaleString('en')
    yield { row: `${count} devices within ${within} s`, values: await comeBack(stage, within) }
    await tell({ do: 'vanish' })
    const strangers = keepTrying(stage)
    yield { row: `the same, and strangers at the door`, values: await comeBack(stage, within) }
    await strangers.stop()
    await live.pair.measure(0.1)
  } finally {
    await end()
  }
}

async function comeBack({ live, tell }: Stage, within: number): Promise<Readonly<Record<string, number>>> {
  const { service, pair } = live
  const returning = tell({ do: 'return', seconds: within, everyRenewing })
  const { sorted: neighbours } = await pair.measure(within)
  const { count, seconds, sorted, retried, refused } = await returning
  return {
    'all in after s': seconds,
    'connects a second': count / seconds,
    'p50 ms': percentile(sorted, 0.5),
    'p99 ms': percentile(sorted, 0.99),
    ...{ retried, refused },
    'neighbours p99 ms': percentile(neighbours, 0.99),
    'loop delay p99 ms': await loopDelayOf(service.healthPort),
    'server MB': residentBytesOf(service.pid) / 1e6,
  }
}

/** As the service itself tells it, since it was asked last. */
async function loopDelayOf(healthPort: number): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text()
  const [, seconds] = /^touchmark_event_loop_delay_seconds\{quantile="0\.99"\} (\S+)$/m.exec(metrics) ?? []
  return Number(seconds) * 1000
}

/** Eight connections at a time that come with a token nobody has made. */
function keepTrying({ live: { service } }: Stage): { stop(): Promise<void> } {
  let isOver = false
  const one = async (): Promise<void> => {
    while (!isOver) await service.join(`tm1.${'0'.repeat(16)}.${'A'.repeat(43)}`).catch(() => undefined)
  }
  const all = Array.from({ length: 8 }, one)
  return {
    async stop() {
      isOver = true
      await Promise.all(all)
    },
  }
}
