import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { messageOf } from '#protocol'
import { runWith } from './arguments.js'
import { type Case, cases } from './cases.js'
import { createFleet, type Fleet } from './fleet.js'
import type { Answer } from './load/main.js'
import type { Order } from './load/measure.js'
import { commandLine, type Options } from './options.js'
import { aedes } from './peers/aedes.js'
import { bare } from './peers/bare.js'
import type { Contestant, RunningBroker } from './peers/contestant.js'
import { mosquitto } from './peers/mosquitto.js'
import { touchmark } from './peers/touchmark.js'
import { Worker } from './processes.js'
import { type Run, renderTables, surroundings } from './tables.js'

const contestants: readonly Contestant[] = [mosquitto, aedes, bare, ...touchmark]

process.exitCode = await runWith(commandLine([...contestants, ...cases]), main)

async function main(options: Options): Promise<number> {
  const chosen = chosenBy(options, contestants)
  const missing = chosen.flatMap((contestant) => contestant.missing() ?? [])
  if (missing.length > 0) {
    process.stderr.write(`${missing.join('\n')}\n`)
    return 1
  }
  const runs = await runAll(options, chosen, chosenBy(options, cases))
  process.stdout.write(
    options.output === 'json'
      ? `${JSON.stringify({ ...surroundings(options), runs }, undefined, 2)}\n`
      : renderTables(runs, surroundings(options)),
  )
  return runs.every(({ error }) => error === undefined) ? 0 : 1
}

/** Each broker in turn, in every round another one first, so that whatever else the machine does meets all of them. */
async function runAll(options: Options, brokers: readonly Contestant[], chosen: readonly Case[]): Promise<Run[]> {
  say(`making certificates for ${options.connections} devices`)
  const fleet = await createFleet(options.connections)
  const home = await mkdtemp(join(tmpdir(), 'touchmark-bench-'))
  const runs: Run[] = []
  try {
    for (let round = 0; round < options.rounds; round++) {
      for (const one of chosen) {
        for (let turn = 0; turn < brokers.length; turn++) {
          const contestant = brokers[(turn + round) % brokers.length]
          if (!contestant) continue
          const run = await runOne(contestant, one, { round, options, fleet, home })
          say(`round ${round + 1} of ${options.rounds}, ${one.name}, ${contestant.name}: ${summaryOf(run)}`)
          runs.push(run)
          await wait(options.settleSeconds * 1000)
        }
      }
    }
  } finally {
    // Not after each run: ext4 without a journal goes through what was deleted within a minute for every file that is made.
    await rm(home, { recursive: true, force: true })
  }
  return runs
}

interface Surroundings {
  readonly round: number
  readonly options: Options
  readonly fleet: Fleet
  readonly home: string
}

/** A broker in a process and a folder of its own, and one load on it. */
async function runOne(
  contestant: Contestant,
  { name, load }: Case,
  { round, options, fleet, home }: Surroundings,
): Promise<Run> {
  const about = { broker: contestant.name, case: name, round }
  const folder = await mkdtemp(join(home, 'run-'))
  let broker: RunningBroker | undefined
  try {
    broker = await contestant.start({ folder, fleet, ...(options.profiles && { profiles: options.profiles }) })
    const { port, pid: brokerPid, collects } = broker
    const { seconds, warmUpSeconds } = options
    const scaled = load.kind === 'idle' ? { ...load, connections: options.connections } : load
    const result = await loadOf({ fleet, port, brokerPid, collects, load: scaled, warmUpSeconds, seconds })
    const { records } = await broker.end()
    broker = undefined
    if (records === undefined) return { ...about, result }
    if (records < result.messages) return { ...about, error: `only ${records} of ${result.messages} were recorded` }
    return { ...about, result, records }
  } catch (error) {
    return { ...about, error: messageOf(error) }
  } finally {
    await broker?.end().catch(() => undefined)
  }
}

async function loadOf(order: Order) {
  const worker = new Worker<Answer>(new URL('./load/main.js', import.meta.url), [])
  const answer = await worker.ask(order)
  await worker.exited
  if ('error' in answer) throw new Error(answer.error)
  return answer.result
}

function chosenBy<Named extends { readonly name: string }>({ only }: Options, all: readonly Named[]): readonly Named[] {
  const named = all.filter(({ name }) => only.some((prefix) => name.startsWith(prefix)))
  return named.length > 0 ? named : all
}

function summaryOf({ error, result }: Run): string {
  if (!result) return `FAILED: ${error ?? ''}`
  const { bytesPerConnection } = result
  if (bytesPerConnection !== undefined) return `${Math.round(bytesPerConnection / 1000)} kB per connection`
  const perSecond = Math.round(result.done / result.seconds)
  return `${perSecond} per second, ${Math.round(result.done / result.brokerCpuSeconds)} per broker CPU-second`
}

function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`)
}
