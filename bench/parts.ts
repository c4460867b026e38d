import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { PartOptions } from './part-options.js'

/** One thing that is measured, once in every round. */
export interface Part<Options> {
  readonly name: string
  readonly title: string
  readonly columns: readonly string[]
  /** Only where it is named with `--only`: it takes minutes. */
  readonly onlyNamed?: true
  /** Rows of the table, each as soon as it is known; the folder is empty. */
  measure(folder: string, options: Options): AsyncIterable<Measured>
}

type Described = Pick<Part<never>, 'name' | 'title' | 'columns'>

export interface Measured {
  readonly row: string
  /** By the names of the columns. */
  readonly values: Readonly<Record<string, number>>
}

interface Run extends Measured {
  readonly part: string
  readonly round: number
}

/** Measures the parts, and writes the medians as Markdown, or as JSON `told` and every run. */
export async function runParts<Options extends PartOptions>(
  parts: readonly Part<Options>[],
  options: Options,
  told: Readonly<Record<string, number>> = {},
): Promise<number> {
  const runs = await measureAll(parts, options)
  const about = { date: new Date().toISOString().slice(0, 10), cores: availableParallelism(), node: process.version }
  const { rounds, output } = options
  process.stdout.write(
    output === 'json'
      ? `${JSON.stringify({ ...about, rounds, ...told, runs }, undefined, 2)}\n`
      : `${about.date}, ${about.cores} cores, Node.js ${about.node}, median of ${rounds}\n\n${renderParts(parts, runs)}`,
  )
  return 0
}

/** All parts in every round, so that whatever else the machine does meets all of them. */
async function measureAll<Options extends PartOptions>(
  parts: readonly Part<Options>[],
  options: Options,
): Promise<readonly Run[]> {
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

function renderParts(parts: readonly Described[], runs: readonly Run[]): string {
  return parts
    .filter(({ name }) => runs.some(({ part }) => part === name))
    .map((part) => `### ${part.title}\n\n${renderPart(part, runs)}\n`)
    .join('\n')
}

function renderPart({ name, columns }: Described, runs: readonly Run[]): string {
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
