import { parseArgs } from 'node:util'

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
  readonly help: boolean
}

export const usage = (parts: readonly { readonly name: string; readonly title: string }[]): string =>
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

/** Undefined where they cannot be understood. */
export function readOptions(args: readonly string[], parts: readonly { readonly name: string }[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string', default: '3' },
        records: { type: 'string', default: '300000' },
        seconds: { type: 'string', default: '4' },
        'largest-log': { type: 'string', default: '10000000' },
        only: { type: 'string', multiple: true, default: [] },
        folder: { type: 'string' },
        output: { type: 'string', short: 'o', default: 'table' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const given = [values.rounds, values.records, values.seconds, values['largest-log']]
    const [rounds = NaN, records = NaN, seconds = NaN, largestLog = NaN] = given.map(Number)
    if (![rounds, records, seconds, largestLog].every((number) => number > 0 && Number.isFinite(number)))
      return undefined
    if (values.output !== 'table' && values.output !== 'json') return undefined
    const { only, output, help, folder } = values
    if (!only.every((part) => parts.some(({ name }) => name === part))) return undefined
    return { rounds, records, seconds, largestLog, only, output, help, ...(folder !== undefined && { folder }) }
  } catch {
    return undefined
  }
}
