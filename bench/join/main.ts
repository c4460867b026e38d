import { runWith } from '../arguments.js'
import { type Part, runParts } from '../parts.js'
import { measureNeighbours, neighbourColumns } from './neighbours.js'
import { commandLine, type Options } from './options.js'
import { measureRates } from './rates.js'
import { rateColumns } from './rows.js'
import { measureSteps, stepColumns } from './steps.js'

const parts: readonly Part<Options>[] = [
  {
    name: 'rates',
    title: 'Devices that join for the first time',
    columns: rateColumns,
    measure: measureRates,
  },
  {
    name: 'neighbours',
    title: 'Two neighbours on the broker meanwhile',
    columns: neighbourColumns,
    measure: measureNeighbours,
  },
  {
    name: 'steps',
    title: 'Where the time of a join goes, all threads of the service',
    columns: stepColumns,
    measure: measureSteps,
  },
]

process.exitCode = await runWith(commandLine(parts), (options) => {
  const { joins, atOnce, seconds } = options
  return runParts(parts, options, { joins, atOnce, seconds })
})
