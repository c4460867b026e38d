import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from '../processes.js'
import type { RunningBroker, Setting } from './contestant.js'

/** What a broker that runs on Node finds in its folder. */
export interface Given {
  readonly tls: { readonly ca: string; readonly key: string; readonly cert: string }
}

/** What it is asked, and what it answers; the first answer, its port, comes unasked. */
export type Question = { readonly ask: 'heap' | 'end' }
export interface Answer {
  readonly port?: number
  readonly heapBytes?: number
  readonly ended?: Ended
}

export interface Ended {
  /** Of messages; whoever keeps none says nothing. */
  readonly records?: number
  /** For the log of Touchmark. */
  readonly verifierKey?: string
}

export interface NodeBroker extends RunningBroker {
  /** Of what is alive: its garbage is collected first. */
  heapBytes(): Promise<number>
  end(): Promise<Ended>
}

/** Starts one of the programs beside this file. */
export async function startNodeBroker(
  program: URL,
  args: readonly string[],
  { folder, fleet, profiles }: Setting,
): Promise<NodeBroker> {
  const given: Given = { tls: { ca: fleet.ca, ...fleet.server } }
  await writeFile(join(folder, 'given.json'), JSON.stringify(given))
  const profiling = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]
  const worker = new Worker<Answer>(program, [folder, ...args], { execArgv: ['--expose-gc', ...profiling] })
  const { port = 0 } = await worker.next()
  return {
    port,
    pid: worker.pid,
    collects: true,
    async heapBytes() {
      return (await worker.ask({ ask: 'heap' } satisfies Question)).heapBytes ?? 0
    },
    async end() {
      const { ended = {} } = await worker.ask({ ask: 'end' } satisfies Question)
      await worker.exited
      return ended
    },
  }
}

/** The broker's side of it. */
export function serveBenchmark(port: number, end: () => Promise<Ended>): void {
  const answer = (message: Answer, then: () => void = () => undefined) => process.send?.(message, then)
  process.on('SIGUSR2', () => globalThis.gc?.())
  process.on('message', ({ ask }: Question) => {
    if (ask === 'heap') {
      globalThis.gc?.()
      answer({ heapBytes: process.memoryUsage().heapUsed })
    } else void end().then((ended) => answer({ ended }, () => process.disconnect()))
  })
  process.on('disconnect', () => process.exit()) // whoever has started us is gone
  answer({ port })
}
