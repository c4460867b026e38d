import { oneOf, positive } from './arguments.js'

/** What every benchmark that has parts is told. */
export interface PartOptions {
  readonly rounds: number
  /** Names of parts; none means all but those that have to be named. */
  readonly only: readonly string[]
  /** Where to write; default: the system's folder for temporary files. */
  readonly folder?: string
  readonly output: 'table' | 'json'
}

export const partArguments = {
  rounds: { type: 'string', default: '3' },
  only: { type: 'string', multiple: true, default: [] as string[] },
  folder: { type: 'string' },
  output: { type: 'string', short: 'o', default: 'table' },
} as const

interface Given {
  readonly rounds: string
  readonly only: readonly string[]
  readonly folder?: string | undefined
  readonly output: string
}

/** What can be measured alone. */
export interface NamedPart {
  readonly name: string
  readonly title: string
}

/** @throws RangeError */
export function understandParts(parts: readonly NamedPart[], { rounds, only, folder, output }: Given): PartOptions {
  const names = parts.map(({ name }) => name)
  return {
    rounds: positive(rounds),
    only: only.map((part) => oneOf(names, part)),
    output: oneOf(['table', 'json'], output),
    ...(folder !== undefined && { folder }),
  }
}

export const partUsage = (parts: readonly NamedPart[]): string => `  --only PART   only this part; may be repeated
  --folder DIR  where to write, for a disk of its own (default: the system's folder for temporary files)
  -o json       every run instead of tables

Parts:
${parts.map(({ name, title }) => `  ${name.padEnd(10)} ${title}`).join('\n')}
`
