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
that the broker takes. Each attack comes twice: in the first Node compiles what it needs for it. The attacker is a process of
its own, of low priority.

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

const head = `| attack | calm p99 ms | p50 ms | p99 ms | p99 / calm | again: calm | p50 | p99 | p99 / calm | lost | RSS MB |
| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
`

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
  process.stdout.write(head)
  let lost = 0
  for (const { name } of attacks.filter((attack) => attack.name.includes(only))) {
    const order = { name, fleet, port: broker.port }
    const first = await endure(pair, order, seconds)
    const second = await endure(pair, order, seconds) // what Node had to compile for it is there now
    process.stdout.write(rowOf(name, first, second, residentBytesOf(broker.pid)))
    lost += lostIn(first) + lostIn(second)
  }
  await pair.leave()
  await broker.end()
  return lost > 0 ? 1 : 0
}

interface Endured {
  readonly calm: Latencies
  readonly attacked: Latencies
}

/** Calm is measured each time: machines have their moods. */
async function endure(pair: Pair, order: AttackOrder, seconds: number): Promise<Endured> {
  const calm = await pair.measure(seconds)
  const attacker = new Worker<string>(new URL('./attacker.js', import.meta.url), [])
  setPriority(attacker.pid, constants.priority.PRIORITY_LOW) // what it costs as a process is not the broker's doing
  await attacker.ask(order)
  const attacked = await pair.measure(seconds)
  attacker.child.kill('SIGKILL')
  await attacker.exited
  await pair.measure(1) // what it left behind is worked off
  return { calm, attacked }
}

function rowOf(name: string, first: Endured, second: Endured, residentBytes: number): string {
  const lost = lostIn(first) + lostIn(second)
  const megabytes = Math.round(residentBytes / 1024 / 1024)
  return `| ${[name, ...figuresOf(first), ...figuresOf(second), lost, megabytes].join(' | ')} |\n`
}

function figuresOf({ calm, attacked }: Endured): readonly string[] {
  const [calm99, p50, p99] = [percentile(calm, 0.99), percentile(attacked, 0.5), percentile(attacked, 0.99)]
  return [calm99, p50, p99, p99 / calm99].map((figure) => figure.toFixed(1))
}

function lostIn({ calm, attacked }: Endured): number {
  return calm.lost + attacked.lost
}

function percentile({ sorted }: Latencies, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Infinity
}
