import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createEkAuthority } from '#simulators'
import type { Pace } from '../in-pace.js'
import { type Live, livePolicy, openLive } from '../policy/live.js'
import { cpuSecondsOf, Worker } from '../processes.js'
import type { Arrived, Order, Setting } from './crowd.js'
import type { Kind } from './devices.js'

/** What a crowd cost whoever let it in. */
export interface Let extends Arrived {
  readonly serverCpuSeconds: number
}

/** A service that trusts the maker of the crowd's chips, two neighbours on its broker, and the crowd. */
export interface Stage {
  readonly live: Live
  readonly crowd: Crowd
  end(): Promise<void>
}

/** Uses of a token are bounded, and no run comes near it. */
const manyUses = 10_000

export async function openStage(folder: string, profiles?: string): Promise<Stage> {
  const home = join(folder, 'crowd')
  await mkdir(home)
  const { rootFile } = await createEkAuthority({ folder: home, now: Date.now })
  const options = { ekRoots: rootFile, ...(profiles !== undefined && { profiles }) }
  const live = await openLive(folder, 0, livePolicy(100, 'granted'), options)
  const { service } = live
  const token = await service.tokenFor({ labels: { kind: 'device' }, uses: manyUses })
  const crowd = new Crowd({ folder: home, door: { port: service.httpsPort, ca: service.ca }, token }, service.pid)
  return {
    ...{ live, crowd },
    async end() {
      await crowd.leave()
      await live.end()
    },
  }
}

/** A process full of devices that come to one door. */
export class Crowd {
  readonly #worker: Worker<Arrived>
  readonly #serverPid: number

  constructor(setting: Setting, serverPid: number) {
    this.#worker = new Worker(new URL('./crowd.js', import.meta.url), [JSON.stringify(setting)])
    this.#serverPid = serverPid
  }

  /** So many devices of this kind, none of which has been there before, one after the other or all at this pace. */
  async come(kind: Kind, count: number, pace: Pace): Promise<Let> {
    await this.prepare(kind, count)
    return this.arrive(pace)
  }

  async prepare(kind: Kind, count: number): Promise<void> {
    await this.#worker.ask({ do: 'prepare', kind, count } satisfies Order)
  }

  /** Those that were prepared. */
  async arrive(pace: Pace): Promise<Let> {
    const before = cpuSecondsOf(this.#serverPid)
    const arrived = await this.#worker.ask({ do: 'arrive', pace } satisfies Order)
    return { ...arrived, serverCpuSeconds: cpuSecondsOf(this.#serverPid) - before }
  }

  async leave(): Promise<void> {
    this.#worker.child.kill()
    await this.#worker.exited
  }
}
