import { createHash } from 'node:crypto'
import { inParallel } from '../in-parallel.js'
import type { Measured } from '../parts.js'
import { cpuSecondsOf, residentBytesOf } from '../processes.js'
import type { Service } from '../service.js'
import type { Options } from './options.js'
import { openStage, type Served, type Stage } from './stage.js'

export const sizeColumns = ['join, server ms', 'renewal, server ms', 'lookup, server ms', 'server MB']

const registeredAtOnce = 64
const atOnce = 8

/** What one device costs the service, by how many it knows: first by a few, then by ten times as many, and so on. */
export async function* measureSize(folder: string, { renewals, registered }: Options): AsyncIterable<Measured> {
  const sizes = [registered / 100, registered / 10, registered].map(Math.ceil)
  const stage = await openStage(folder, renewals * (sizes.length + 1))
  try {
    let known = 0
    for (const size of sizes) {
      await register(stage.live.service, known, size)
      if (known === 0) await measureOne(stage, renewals, size) // Node compiles
      known = size
      yield { row: `${size.toLocaleString('en')} devices`, values: await measureOne(stage, renewals, known) }
    }
  } finally {
    await stage.end()
  }
}

async function measureOne(
  { live, tell }: Stage,
  count: number,
  known: number,
): Promise<Readonly<Record<string, number>>> {
  const { service } = live
  const join = await tell({ do: 'join', count, pace: { atOnce } })
  await tell({ do: 'renew', count, pace: { atOnce } }) // the first after a join has nothing to promote
  const renewal = await tell({ do: 'renew', count, pace: { atOnce } })
  const before = cpuSecondsOf(service.pid)
  await inParallel(
    Array.from({ length: count }, (_, at) => at),
    atOnce,
    async (at) => {
      await service.ask('getDevice', { id: knownName(at % known) })
    },
  )
  return {
    'join, server ms': millisecondsEach(join),
    'renewal, server ms': millisecondsEach(renewal),
    'lookup, server ms': ((cpuSecondsOf(service.pid) - before) * 1000) / count,
    'server MB': residentBytesOf(service.pid) / 1e6,
  }
}

function millisecondsEach({ serverCpuSeconds, count }: Served): number {
  return (serverCpuSeconds * 1000) / count
}

async function register(service: Service, from: number, to: number): Promise<void> {
  const places = Array.from({ length: to - from }, (_, at) => from + at)
  await inParallel(places, registeredAtOnce, async (place) => {
    const ekHash = createHash('sha256').update(String(place)).digest('hex')
    const labels = { kind: 'device', site: `site-${place % 100}` }
    await service.ask('registerDevice', { body: { id: knownName(place), ekHash, labels } })
  })
}

const knownName = (place: number): string => `known-${place}`
