import type { RowProblem } from './columns.js'

/** So many are named: enough to see what is wrong with a file, and no more than a person reads. */
const mostNamed = 1000

/** What is wrong with the rows of a file. */
export class Problems {
  /** The first of them. */
  readonly named: RowProblem[] = []
  #rows = 0

  /** How many rows are wrong, named or not. */
  get rows(): number {
    return this.#rows
  }

  /** All that is wrong with one row. */
  add(problems: readonly RowProblem[]): void {
    this.#rows++
    this.named.push(...problems.slice(0, mostNamed - this.named.length))
  }
}

/** `row 7, ek_hash: expected …` */
export function describeProblem({ row, column, problem }: RowProblem): string {
  return `row ${row}${column && `, ${column}`}: ${problem}`
}
