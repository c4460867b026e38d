import type { Options } from './options.js'

/** One thing that is measured, once in every round. */
export interface Part {
  readonly name: string
  readonly title: string
  readonly columns: readonly string[]
  /** Only where it is named with `--only`: it takes minutes. */
  readonly onlyNamed?: true
  /** Rows of the table, each as soon as it is known; the folder is empty. */
  measure(folder: string, options: Options): AsyncIterable<Measured>
}

export interface Measured {
  readonly row: string
  /** By the names of the columns. */
  readonly values: Readonly<Record<string, number>>
}

export interface Run extends Measured {
  readonly part: string
  readonly round: number
}

/** Medians over the rounds, as Markdown. */
export function renderParts(parts: readonly Part[], runs: readonly Run[]): string {
  return parts
    .filter(({ name }) => runs.some(({ part }) => part === name))
    .map((part) => `### ${part.title}\n\n${renderPart(part, runs)}\n`)
    .join('\n')
}

function renderPart({ name, columns }: Part, runs: readonly Run[]): string {
  const own = runs.filter(({ part }) => part === name)
  const rows = [...new Set(own.map(({ row }) => row))].map((row) => [
    row,
    ...columns.map((column) =>
      readable(median(own.filter((run) => run.row === row).flatMap(({ values }) => values[column] ?? []))),
    ),
  ])
  const rule = ['---', ...columns.map(() => '---:')]
  return [['', ...columns], rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = sorted.length / 2
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle) - 1] ?? NaN)) / 2
}

function readable(value: number): string {
  if (!Number.isFinite(value)) return '–'
  return value < 100 ? value.toFixed(2) : Math.round(value).toLocaleString('en')
}
