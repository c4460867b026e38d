import { setTimeout as wait } from 'node:timers/promises'
import type { Measured } from '../parts.js'
import { livePolicy, openLive } from './live.js'
import type { Options } from './options.js'
import { percentile } from '../percentile.js'

export const applyColumns = ['answered ms', 'calm p99 ms', 'p99 ms', 'longest ms']

/** Policies in their order; each is applied while the neighbours go on. */
const changes = [
  { row: 'nothing that they have ends', settings: 'granted' },
  { row: 'a subscription of each ends', settings: 'withdrawn' },
] as const

/** From `policy apply` until the last live session was held to the new policy, and what that costs two neighbours. */
export async function* measureApply(folder: string, { sessions, seconds }: Options): AsyncIterable<Measured> {
  const live = await openLive(folder, sessions, livePolicy(100, 'granted'))
  try {
    for (const [at, { row, settings }] of changes.entries()) {
      const calm = await live.pair.measure(2 * seconds)
      const measuring = live.pair.measure(seconds)
      await wait((seconds * 1000) / 4)
      const start = performance.now()
      const answer = await live.service.ask('applyPolicy', { body: livePolicy(101 + at, settings) })
      const answered = performance.now() - start
      requireAll(answer, sessions)
      const { sorted } = await measuring
      yield {
        row: `${sessions.toLocaleString('en')} sessions, ${row}`,
        values: {
          'answered ms': answered,
          'calm p99 ms': percentile(calm.sorted, 0.99),
          'p99 ms': percentile(sorted, 0.99),
          'longest ms': percentile(sorted, 1),
        },
      }
    }
  } finally {
    await live.end()
  }
}

function requireAll(answer: unknown, sessions: number): void {
  const looked = (answer as { readonly sessions: number }).sessions
  if (looked < sessions) throw new Error(`only ${looked} of ${sessions} sessions were looked at`)
}
