import { describeCommand, oneOf, positive } from '../arguments.js'

export interface Options {
  readonly rounds: number
  /** How many go through the pipeline in a round. */
  readonly records: number
  /** How long each rate is kept up. */
  readonly seconds: number
  /** The search is measured in logs of 1 and 10 million records, but none larger than this. */
  readonly largestLog: number
  readonly only: readonly string[]
  /** Where to write; default: the system's folder for temporary files. */
  readonly folder?: string
  readonly output: 'table' | 'json'
}

interface Named {
  readonly name: string
  readonly title: string
}

/** Of a benchmark of these parts. */
export function commandLine(parts: readonly Named[]) {
  return describeCommand({
    usage: usage(parts),
    options: {
      rounds: { type: 'string', default: '3' },
      records: { type: 'string', default: '300000' },
      seconds: { type: 'string', default: '4' },
      'largest-log': { type: 'string', default: '10000000' },
      only: { type: 'string', multiple: true, default: [] },
      folder: { type: 'string' },
      output: { type: 'string', short: 'o', default: 'table' },
    },
    understand({ only, folder, ...given }): Options {
      for (const part of only)
        oneOf(
          parts.map(({ name }) => name),
          part,
        )
      return {
        rounds: positive(given.rounds),
        records: positive(given.records),
        seconds: positive(given.seconds),
        largestLog: positive(given['largest-log']),
        only,
        output: oneOf(['table', 'json'], given.output),
        ...(folder !== undefined && { folder }),
      }
    },
  })
}

const usage = (parts: readonly Named[]): string =>
  `npm run bench:audit [-- OPTION …]

What the audit log does in a second and what it adds to the time that the disk takes. Beside it, in the same run, the floor:
a plain write and fdatasync of the same bytes in the same batches, and nothing else.

  --rounds N    how often each is measured; medians are printed (default 3)
  --records N   how many records go through the pipeline in a round (default 300000)
  --seconds S   how long each rate of records is kept up (default 4)
  --largest-log N  no search of a larger log than this (default 10000000, which takes minutes to write)
  --only PART   only this part; may be repeated
  --folder DIR  where to write, for a disk of its own (default: the system's folder for temporary files)
  -o json       every run instead of tables

Parts:
${parts.map(({ name, title }) => `  ${name.padEnd(10)} ${title}`).join('\n')}

A first look takes a quarter of a minute:  npm run bench:audit -- --rounds 1 --records 100000 --seconds 1
Search is measured when it is asked for:   npm run bench:audit -- --only search --rounds 1
`
