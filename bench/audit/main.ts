import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { runWith } from '../arguments.js'
import { latencyColumns, measureLatency } from './latency.js'
import { commandLine, type Options } from './options.js'
import { type Part, type Run, renderParts } from './parts.js'
import { measurePipeline, pipelineColumns } from './pipeline.js'
import { measureSearch, searchColumns } from './search.js'
import { measureVerify, verifyColumns } from './verify.js'

const parts: readonly Part[] = [
  {
    name: 'pipeline',
    title: 'Whole pipeline: encode, commit, hash, write, sync, checkpoint',
    columns: pipelineColumns,
    measure: measurePipeline,
  },
  {
    name: 'latency',
    title: 'From append to durable',
    columns: latencyColumns,
    measure: measureLatency,
  },
  {
    name: 'verify',
    title: 'Verify: signature, every entry, bundle and tile, root, write-ahead log',
    columns: verifyColumns,
    measure: measureVerify,
  },
  {
    name: 'search',
    title: 'Searches of a log of 2,000 devices with 100,000 records an hour',
    columns: searchColumns,
    measure: measureSearch,
    onlyNamed: true,
  },
]

process.exitCode = await runWith(commandLine(parts), main)

async function main(options: Options): Promise<number> {
  const runs = await measureAll(options)
  const about = { date: new Date().toISOString().slice(0, 10), cores: availableParallelism(), node: process.version }
  const { rounds, records, seconds } = options
  process.stdout.write(
    options.output === 'json'
      ? `${JSON.stringify({ ...about, rounds, records, seconds, runs }, undefined, 2)}\n`
      : `${about.date}, ${about.cores} cores, Node.js ${about.node}, median of ${rounds}\n\n${renderParts(parts, runs)}`,
  )
  return 0
}

/** All parts in every round, so that whatever else the machine does meets all of them. */
async function measureAll(options: Options): Promise<readonly Run[]> {
  const { rounds, folder, only } = options
  const chosen = parts.filter(({ name, onlyNamed }) => only.includes(name) || (only.length === 0 && !onlyNamed))
  const home = await mkdtemp(join(resolve(folder ?? tmpdir()), 'touchmark-bench-'))
  const runs: Run[] = []
  try {
    for (let round = 0; round < rounds; round++) {
      for (const { name, measure } of chosen) {
        const directory = await mkdtemp(join(home, 'run-'))
        for await (const run of measure(directory, options)) {
          process.stderr.write(`round ${round + 1} of ${rounds}, ${name}, ${run.row}\n`)
          runs.push({ part: name, round, ...run })
        }
      }
    }
  } finally {
    await rm(home, { recursive: true, force: true }) // not after each: what was deleted costs whoever makes files next
  }
  return runs
}
