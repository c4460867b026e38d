import { mkdtemp, rm } from 'node:fs/promises'
import { constants, setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeCommand, positive, runWith } from '../arguments.js'
import { createFleet } from '../fleet.js'
import { startTouchmark } from '../peers/touchmark.js'
import { residentBytesOf, Worker } from '../processes.js'
import type { AttackOrder } from './attacker.js'
import { attacks } from './attacks.js'
import { type Latencies, Pair } from './pair.js'

interface Options {
  readonly seconds: number
  readonly only: string
}

const usage = `npm run bench:neighbours [-- OPTION …]

What one greedy device costs two that behave: the time from publish to receive, calm and under each attack, and the memory
that the broker takes meanwhile. The attacker is a process of its own, of low priority.

  --seconds S   how long each is measured (default 5)
  --only TEXT   only attacks whose name holds this

Attacks:
${attacks.map(({ name }) => `  ${name}`).join('\n')}
`

const command = describeCommand({
  usage,
  options: { seconds: { type: 'string', default: '5' }, only: { type: 'string', default: '' } },
  understand: ({ seconds, only }): Options => ({ seconds: positive(seconds), only }),
})

process.exitCode = await runWith(command, main)

async function main(options: Options): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'touchmark-bench-'))
  try {
    return await measureAll(folder, options)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Returns 1 when something was lost that had been acknowledged. */
async function measureAll(folder: string, { seconds, only }: Options): Promise<number> {
  const fleet = await createFleet(2)
  const broker = await startTouchmark('committed', { folder, fleet })
  const pair = await Pair.connect(fleet, broker.port)
  await pair.measure(1)
  process.stdout.write(
    `| the others meanwhile | p50 ms | p99 ms | p99 / calm | lost | RSS MB |\n| :--- | ---: | ---: | ---: | ---: | ---: |\n`,
  )
  let lost = 0
  for (const { name } of attacks.filter((attack) => attack.name.includes(only))) {
    const calm = await pair.measure(seconds) // each time: machines have their moods
    process.stdout.write(rowOf('calm', calm, calm, residentBytesOf(broker.pid)))
    const attacker = new Worker<string>(new URL('./attacker.js', import.meta.url), [])
    setPriority(attacker.pid, constants.priority.PRIORITY_LOW) // what it costs as a process is not the broker's doing
    await attacker.ask({ name, fleet, port: broker.port } satisfies AttackOrder)
    const latencies = await pair.measure(seconds)
    process.stdout.write(rowOf(name, latencies, calm, residentBytesOf(broker.pid)))
    lost += calm.lost + latencies.lost
    attacker.child.kill('SIGKILL')
    await attacker.exited
    await pair.measure(1) // what it left behind is worked off
  }
  await pair.leave()
  await broker.end()
  return lost > 0 ? 1 : 0
}

function rowOf(name: string, { sorted, lost }: Latencies, calm: Latencies, residentBytes: number): string {
  const [p50, p99] = [percentile(sorted, 0.5), percentile(sorted, 0.99)]
  const ratio = p99 / percentile(calm.sorted, 0.99)
  const megabytes = Math.round(residentBytes / 1024 / 1024)
  return `| ${name} | ${p50.toFixed(1)} | ${p99.toFixed(1)} | ${ratio.toFixed(1)} | ${lost} | ${megabytes} |\n`
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Infinity
}
