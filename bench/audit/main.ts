import { runWith } from '../arguments.js'
import { type Part, runParts } from '../parts.js'
import { latencyColumns, measureLatency } from './latency.js'
import { commandLine, type Options } from './options.js'
import { measurePipeline, pipelineColumns } from './pipeline.js'
import { measureSearch, searchColumns } from './search.js'
import { measureVerify, verifyColumns } from './verify.js'

const parts: readonly Part<Options>[] = [
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

process.exitCode = await runWith(commandLine(parts), (options) => {
  const { records, seconds } = options
  return runParts(parts, options, { records, seconds })
})
