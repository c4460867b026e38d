import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** All files with tests, below `tests/`. */
export const testFiles = readdirSync('tests', { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.test.ts'),
)

const known = new Map<string, readonly string[]>()

/** The titles in a file below `tests/`, as its source has them; also where a function of the file's own makes the test. */
export function titlesIn(file: string): readonly string[] {
  const before = known.get(file)
  if (before) return before
  const source = readFileSync(join('tests', file), 'utf8')
  const titles = [...source.matchAll(/\w\(\s*(['"`])([^\n]+?)\1\s*,/g)].map(([, , title = '']) => title)
  known.set(file, titles)
  return titles
}

/** What is filled in when a test is named can be anything. */
export function patternOf(title: string): RegExp {
  const said = title.split(/\$\{.+?\}/).map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${said.join('.+')}$`)
}

/** A test, as a page names it: `file` › title, the file without its ending. */
export interface NamedTest {
  readonly file: string
  readonly title: string
}

/** All that a cell of a table names, one after another with `; ` between. */
export function namedTests(cell: string): readonly NamedTest[] {
  return [...cell.matchAll(/`([^`]+)` › (.+?)(?=; `|$)/g)].map(([, file = '', title = '']) => ({ file, title }))
}

/** Whether there is that test in the file below `tests/`; a page may also name it as its source does. */
export function isThere({ file, title }: NamedTest): boolean {
  return titlesIn(`${file}.test.ts`).some((known) => known === title || patternOf(known).test(title))
}
