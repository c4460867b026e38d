import { describeCommand, positive } from '../arguments.js'
import { type NamedPart, partArguments, type PartOptions, partUsage, understandParts } from '../part-options.js'

export interface Options extends PartOptions {
  /** How many go through the pipeline in a round. */
  readonly records: number
  /** How long each rate is kept up. */
  readonly seconds: number
  /** The search is measured in logs of 1 and 10 million records, but none larger than this. */
  readonly largestLog: number
}

/** Of a benchmark of these parts. */
export function commandLine(parts: readonly NamedPart[]) {
  return describeCommand({
    usage: usage(parts),
    options: {
      ...partArguments,
      records: { type: 'string', default: '300000' },
      seconds: { type: 'string', default: '4' },
      'largest-log': { type: 'string', default: '10000000' },
    },
    understand(given): Options {
      return {
        ...understandParts(parts, given),
        records: positive(given.records),
        seconds: positive(given.seconds),
        largestLog: positive(given['largest-log']),
      }
    },
  })
}

const usage = (parts: readonly NamedPart[]): string =>
  `npm run bench:audit [-- OPTION …]

What the audit log does in a second and what it adds to the time that the disk takes. Beside it, in the same run, the floor:
a plain write and fdatasync of the same bytes in the same batches, and nothing else.

  --rounds N    how often each is measured; medians are printed (default 3)
  --records N   how many records go through the pipeline in a round (default 300000)
  --seconds S   how long each rate of records is kept up (default 4)
  --largest-log N  no search of a larger log than this (default 10000000, which takes minutes to write)
${partUsage(parts)}`
