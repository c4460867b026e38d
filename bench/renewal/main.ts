import { runWith } from '../arguments.js'
import { rateColumns } from '../join/rows.js'
import { type Part, runParts } from '../parts.js'
import { commandLine, type Options } from './options.js'
import { measureRenewals } from './renewals.js'
import { measureReturn, returnColumns } from './returning.js'
import { measureSize, sizeColumns } from './size.js'

const parts: readonly Part<Options>[] = [
  {
    name: 'renewals',
    title: 'Devices that renew',
    columns: rateColumns,
    measure: measureRenewals,
  },
  {
    name: 'return',
    title: 'A fleet that comes back after a power cut',
    columns: returnColumns,
    measure: measureReturn,
  },
  {
    name: 'size',
    title: 'What a device costs, by how many there are',
    columns: sizeColumns,
    measure: measureSize,
  },
]

process.exitCode = await runWith(commandLine(parts), (options) => {
  const { renewals, atOnce, herd, within, registered } = options
  return runParts(parts, options, { renewals, atOnce, herd, within, registered })
})
