import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type AuditLog, type Retain, Retention, type RetentionOptions } from '#audit'
import { createWorld, published } from '../world.js'

export const day = 24 * 3_600_000

/** A clock that the test sets. */
export interface Clock {
  now: number
}

export interface ForgetfulWorld {
  readonly directory: string
  readonly clock: Clock
  readonly warnings: string[]
  /** What the next look is to wait for. */
  release: (minimumIndex: number) => Promise<void>
  /** The log anew, so that nothing older stands in its write-ahead log. */
  reopen(): Promise<AuditLog>
  /** One look with these bounds. */
  look(retain: Retain): Promise<Retention>
  /** One look so long after everything that each complete bundle goes. */
  lookMuchLater(): Promise<Retention>
  /** Numbers of the complete bundles on disk. */
  bundles(): Promise<readonly number[]>
}

/** A log of complete bundles, each with records of one time (or of several, in order), and 300 records behind them. */
export async function createForgetfulWorld(
  context: TestContext,
  times: readonly (number | readonly number[])[],
): Promise<ForgetfulWorld> {
  const inner = await createWorld(context)
  const { directory } = inner
  const clock = { now: 0 }
  let log = await inner.open({ now: () => clock.now })
  const world: ForgetfulWorld = {
    directory,
    clock,
    warnings: [],
    release: async () => undefined,
    async reopen() {
      await log.close()
      return (log = await inner.open({ now: () => clock.now }))
    },
    async look(retain) {
      const options: RetentionOptions = {
        log,
        retain,
        release: (minimumIndex) => world.release(minimumIndex),
        now: () => clock.now,
        warn: (sentence) => world.warnings.push(sentence),
      }
      const retention = new Retention(options)
      await retention.look()
      return retention
    },
    lookMuchLater() {
      clock.now = 100 * day
      return world.look({ days: 1 })
    },
    async bundles() {
      const names = await readdir(join(directory, 'log', 'tile', 'entries'))
      return names.filter((name) => /^\d{3}$/.test(name)).map(Number)
    },
  }
  const appendAt = async (time: number, count: number): Promise<void> => {
    clock.now = time
    for (let index = 0; index < count; index++) log.append(published(index))
    await log.whenDurable(log.size - 1)
  }
  for (const each of times) {
    const within = typeof each === 'number' ? [each] : each
    for (const time of within) await appendAt(time, 256 / within.length)
  }
  const newest = clock.now
  log = await world.reopen() // a segment of its own for what follows, so that the bundles stand alone when it is settled
  await appendAt(newest, 300)
  log = await world.reopen()
  return world
}

export async function sequencesOf(records: AsyncIterable<{ readonly sequence: number }>): Promise<readonly number[]> {
  const sequences: number[] = []
  for await (const { sequence } of records) sequences.push(sequence)
  return sequences
}
