import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Fleet } from '../fleet.js'
import { Worker } from '../processes.js'
import type { RunningBroker, Setting } from './contestant.js'

/** What a broker that runs on Node finds in its folder. */
export interface Given {
  readonly tls: { readonly ca: string; readonly key: string; readonly cert: string }
}

export type BrokerAnswer = { readonly port: number } | { readonly records: number }

/** Starts one of the programs beside this file; it says its port, and how much it has recorded when it is told to end. */
export async function startNodeBroker(
  program: URL,
  args: readonly string[],
  { folder, fleet, profiles }: Setting,
): Promise<RunningBroker> {
  await writeFile(join(folder, 'given.json'), JSON.stringify(givenBy(fleet)))
  const profiling = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]
  const worker = new Worker<BrokerAnswer>(program, [folder, ...args], { execArgv: ['--expose-gc', ...profiling] })
  const started = await worker.next()
  return {
    port: 'port' in started ? started.port : 0,
    pid: worker.pid,
    collects: true,
    async end() {
      const ended = await worker.ask({ end: true })
      await worker.exited
      return { records: 'records' in ended ? ended.records : 0 }
    },
  }
}

/** The broker's side of it. */
export function serveBenchmark(port: number, end: () => Promise<number>): void {
  process.on('SIGUSR2', () => globalThis.gc?.())
  process.once('message', () => {
    void end().then((records) => process.send?.({ records }, () => process.disconnect()))
  })
  process.send?.({ port })
}

function givenBy({ ca, server }: Fleet): Given {
  return { tls: { ca, ...server } }
}
