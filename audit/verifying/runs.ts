import { availableParallelism } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { AuditError } from '../errors.js'
import type { Hash } from '../tree/merkle.js'
import { tileWidth } from '../tree/tiles.js'
import { checkedLeaves, rootOf } from './bundle.js'

/** Complete bundles, from one up to, not with, another: what a thread checks at a time. */
export interface Run {
  readonly from: number
  readonly to: number
}

export interface RunReport {
  /** Of each bundle in turn, up to the first that is damaged. */
  readonly roots: readonly Hash[]
  /** Of how many of them only the hashes are there. */
  readonly gone: number
  readonly damage?: { readonly index: number; readonly what: string }
}

/** Some milliseconds of work, so that one can stop soon and say how far it is. */
const bundlesPerRun = 32

/** To start a thread takes as long as so many runs. */
const runsWorthThread = 4

export function checkRun(folder: string, { from, to }: Run): RunReport {
  const roots: Hash[] = []
  let gone = 0
  try {
    for (let index = from; index < to; index++) {
      const { leaves, isGone } = checkedLeaves(folder, index, tileWidth)
      roots.push(rootOf(leaves))
      if (isGone) gone++
    }
    return { roots, gone }
  } catch (error) {
    if (!(error instanceof AuditError) || error.sequence === undefined) throw error
    return { roots, gone, damage: { index: error.sequence, what: error.message } }
  }
}

/** Checks complete bundles in several threads; the reports come in the order of the bundles. */
export async function* checkRuns(
  folder: string,
  bundles: Run,
  threads = availableParallelism(),
): AsyncGenerator<RunReport, void> {
  const runs = runsOf(bundles)
  const worth = Math.min(threads, Math.floor(runs.length / runsWorthThread))
  if (worth > 1) return yield* checkInThreads(folder, runs, worth)
  for (const run of runs) {
    yield checkRun(folder, run)
    await setImmediate()
  }
}

function runsOf({ from, to }: Run): readonly Run[] {
  return Array.from({ length: Math.ceil((to - from) / bundlesPerRun) }, (_, at) => {
    const start = from + at * bundlesPerRun
    return { from: start, to: Math.min(start + bundlesPerRun, to) }
  })
}

async function* checkInThreads(folder: string, runs: readonly Run[], count: number): AsyncGenerator<RunReport, void> {
  const threads = Array.from({ length: count }, () => new RunThread(folder))
  const left = runs.values()
  const asked: Promise<RunReport>[] = []
  const ask = (): void => {
    for (const thread of threads) {
      const { value: run } = left.next()
      if (run) asked.push(thread.check(run))
    }
  }
  try {
    ask() // each has the next one at hand when it is done with one
    for (let at = 0; at < runs.length; at++) {
      if (at % count === 0) ask()
      const report = await asked.shift()
      if (report) yield report
    }
  } finally {
    await Promise.all(threads.map((thread) => thread.end()))
  }
}

/** Answers in the order in which it is asked. */
class RunThread {
  readonly #worker: Worker
  readonly #waiting: { resolve: (report: RunReport) => void; reject: (error: Error) => void }[] = []

  constructor(folder: string) {
    this.#worker = new Worker(new URL('./thread.js', import.meta.url), { workerData: folder })
    this.#worker.on('message', (report: RunReport) => this.#waiting.shift()?.resolve(report))
    this.#worker.on('error', (error: Error) => this.#fail(error))
    this.#worker.on('exit', () => this.#fail(new AuditError('AUDIT_FAILED', 'a thread of the verification has ended')))
  }

  check(run: Run): Promise<RunReport> {
    const report = new Promise<RunReport>((resolve, reject) => this.#waiting.push({ resolve, reject }))
    report.catch(() => undefined) // nobody asks for what comes behind the first damage
    this.#worker.postMessage(run)
    return report
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}
