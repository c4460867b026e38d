import { parentPort, Worker, workerData } from 'node:worker_threads'
import { messageOf } from '#protocol'
import { live, type Lived } from './live.js'

/** Which lives, one seed after the other, and how many steps each has. */
export interface Lives {
  readonly first: number
  readonly count: number
  readonly stepsEach: number
}

export interface AllLived {
  /** Of the first life at whose end something was wrong; the others were not begun then. */
  readonly wrong?: { readonly seed: number; readonly what: string }
  /** In how many of them there was what. */
  readonly sums: ReadonlyMap<string, number>
}

/**
 * In a thread of their own, where the test runner follows no promise from its making to its end: here there are millions,
 * and that took longer than all lives do.
 */
export function liveAll(lives: Lives): Promise<AllLived> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: lives })
    worker.on('message', resolve)
    worker.on('error', reject)
    worker.on('exit', () => reject(new Error('the lives have ended without a word'))) // of no effect after an answer
  })
}

async function liveThem({ first, count, stepsEach }: Lives): Promise<AllLived> {
  const sums = new Map<string, number>()
  for (let seed = first; seed < first + count; seed++) {
    const { wrong, counts } = await live(seed, stepsEach).catch(thrown)
    if (wrong !== undefined) return { wrong: { seed, what: wrong }, sums }
    for (const [what, times] of Object.entries(counts)) sums.set(what, (sums.get(what) ?? 0) + times)
  }
  return { sums }
}

function thrown(error: unknown): Pick<Lived, 'wrong' | 'counts'> {
  return { wrong: messageOf(error), counts: {} }
}

const port = parentPort
if (port) {
  Error.stackTraceLimit = 0 // refusals are part of these lives; what fails is told by its seed, and lives again alone
  port.postMessage(await liveThem(workerData))
}
