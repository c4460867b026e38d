import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifyLog } from '#audit'
import { describeCommand, positive, runWith } from '../arguments.js'
import { createFleet, type Fleet } from '../fleet.js'
import type { NodeBroker } from '../peers/node-broker.js'
import { type Mode, startTouchmark } from '../peers/touchmark.js'
import { residentBytesOf, Worker } from '../processes.js'
import { judgeFlatness } from './flatness.js'
import type { SoakOrder, SoakReport } from './load.js'

const usage = `npm run bench:soak [-- OPTION …]

Lets this broker work at half of what it can do, while devices come, go, drop and take over their own sessions. Fails when
an error occurs, a message is lost, memory grows, or the audit log does not verify.

  --minutes M   how long (default 30)
  --rate N      messages per second (default: half of what short runs find it can do)
  --relaxed     with the audit log in relaxed mode
`

/** Rates that are tried, from the lowest up. */
const lowestRate = 3000
const rateStep = 1.25

const tableHead = `
| minute | sent | received | connects | takeovers | drops | held back | RSS MB | heap MB | errors |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
`

interface Options {
  readonly minutes: number
  readonly mode: Mode
  /** Messages per second. Default: half of what it can do */
  readonly rate?: number
}

interface Sample {
  readonly residentBytes: number
  readonly heapBytes: number
}

const command = describeCommand({
  usage,
  options: {
    minutes: { type: 'string', default: '30' },
    rate: { type: 'string' },
    relaxed: { type: 'boolean', default: false },
  },
  understand({ minutes, rate, relaxed }): Options {
    const mode: Mode = relaxed ? 'relaxed' : 'committed'
    return { minutes: positive(minutes), mode, ...(rate !== undefined && { rate: positive(rate) }) }
  },
})

process.exitCode = await runWith(command, main)

async function main(options: Options): Promise<number> {
  const fleet = await createFleet(100)
  const rate = options.rate ?? Math.floor((await capacityOf(fleet, options.mode)) / 2)
  say(`${rate} messages per second for ${options.minutes} minutes`)
  const failures = await inFolder((folder) => soak(folder, fleet, { ...options, rate }))
  for (const failure of failures) process.stdout.write(`- FAILED: ${failure}\n`)
  return failures.length === 0 ? 0 : 1
}

/** Returns what went wrong. */
async function soak(
  folder: string,
  fleet: Fleet,
  { minutes, rate, mode }: { readonly minutes: number; readonly rate: number; readonly mode: Mode },
): Promise<readonly string[]> {
  const broker = await startTouchmark(mode, { folder, fleet })
  const reportSeconds = Math.max(0.5, Math.min(60, minutes * 2))
  const load = startLoad({ fleet, port: broker.port, rate, reportSeconds })
  const samples: Sample[] = []
  const start = performance.now()
  process.stdout.write(tableHead)
  while (performance.now() - start < minutes * 60_000) {
    const report = await load.next()
    const sample = await sampleOf(broker)
    samples.push(sample)
    process.stdout.write(rowOf((performance.now() - start) / 60_000, report, sample))
    if (report.kind === 'end') break
  }
  if (load.child.connected) load.child.send({ stop: true })
  const end = await lastOf(load)
  const { records = 0, verifierKey = '' } = await broker.end()
  say(`verifying ${records} records`)
  const verified = await verifyLog(join(folder, 'audit'), verifierKey)
  const messages = end.sent + end.received
  say(`${end.sent} sent, ${end.received} received, ${end.skipped} of QoS 0 skipped, ${verified.size} records verified`)
  return [
    ...end.errors,
    ...(records < messages ? [`only ${records} records of ${messages} messages`] : []),
    ...(verified.ok ? [] : [`the log does not verify: ${verified.firstBad?.what ?? ''}`]),
    ...growthIn(
      'resident memory',
      samples.map(({ residentBytes }) => residentBytes),
    ),
    ...growthIn(
      'heap',
      samples.map(({ heapBytes }) => heapBytes),
    ),
  ]
}

/** The highest of the tried rates that the broker keeps up with, under the same mixture as in the soak itself. */
async function capacityOf(fleet: Fleet, mode: Mode): Promise<number> {
  let capacity = lowestRate / rateStep
  for (let rate = lowestRate; await keepsUp(fleet, mode, rate); rate *= rateStep) capacity = rate
  say(`keeps up with ${Math.floor(capacity)} messages per second`)
  return capacity
}

/** Whether after some seconds less than a second's worth is under way, and next to nothing was held back. */
async function keepsUp(fleet: Fleet, mode: Mode, rate: number): Promise<boolean> {
  say(`trying ${Math.floor(rate)} messages per second`)
  return await inFolder(async (folder) => {
    const broker = await startTouchmark(mode, { folder, fleet })
    const load = startLoad({ fleet, port: broker.port, rate, reportSeconds: 2 })
    let report = await load.next()
    for (let more = 3; more > 0 && report.kind === 'report'; more--) report = await load.next()
    const { sent, received, skipped, heldBack, errors } = report
    load.child.kill('SIGKILL')
    await load.exited
    await broker.end()
    return errors.length === 0 && sent - received - skipped < rate && heldBack < sent / 100
  })
}

function startLoad(order: SoakOrder): Worker<SoakReport> {
  const load = new Worker<SoakReport>(new URL('./load.js', import.meta.url), [])
  load.child.send(order)
  return load
}

/** The heap first: with its garbage gone, resident memory is what the broker holds and not what V8 has put off. */
async function sampleOf(broker: NodeBroker): Promise<Sample> {
  const heapBytes = await broker.heapBytes()
  return { heapBytes, residentBytes: residentBytesOf(broker.pid) }
}

/** Reports that were on their way come first. */
async function lastOf(load: Worker<SoakReport>): Promise<SoakReport> {
  for (;;) {
    const report = await load.next()
    if (report.kind === 'end') return report
  }
}

function growthIn(what: string, samples: readonly number[]): readonly string[] {
  const { flat, middle, last } = judgeFlatness(samples)
  return flat ? [] : [`${what} grows: ${megabytes(middle)} MB in the middle third, ${megabytes(last)} MB in the last`]
}

function rowOf(minute: number, report: SoakReport, { residentBytes, heapBytes }: Sample): string {
  const { sent, received, connects, takeovers, drops, heldBack, errors } = report
  const counts = [sent, received, connects, takeovers, drops, heldBack].map((count) => count.toLocaleString('en'))
  const cells = [minute.toFixed(1), ...counts, megabytes(residentBytes), megabytes(heapBytes), errors.length]
  return `| ${cells.join(' | ')} |\n`
}

async function inFolder<Value>(work: (folder: string) => Promise<Value>): Promise<Value> {
  const folder = await mkdtemp(join(tmpdir(), 'touchmark-soak-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}

function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`)
}
