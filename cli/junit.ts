import { printable } from './printable.js'

/** One test, as JUnit's reports have it. */
export interface JUnitCase {
  readonly name: string
  /** Where it stands. */
  readonly at: string
  readonly problem?: string
}

/** A report of one suite in the XML that CI systems read. `broken`: why its tests could not be asked at all. */
export function encodeJUnit(suite: string, cases: readonly JUnitCase[], broken?: string): string {
  const failures = cases.filter(({ problem }) => problem !== undefined).length
  const errors = broken === undefined ? 0 : 1
  const counts = `tests="${cases.length + errors}" failures="${failures}" errors="${errors}" skipped="0"`
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name=${quoted(suite)} ${counts}>`,
    `  <testsuite name=${quoted(suite)} ${counts} time="0">`,
    ...(broken === undefined ? [] : element({ name: 'can be read', at: suite }, 'error', broken)),
    ...cases.flatMap((one) => element(one, 'failure', one.problem)),
    '  </testsuite>',
    '</testsuites>',
  ]
  return `${lines.join('\n')}\n`
}

function element(
  { name, at }: JUnitCase,
  outcome: 'failure' | 'error',
  problem: string | undefined,
): readonly string[] {
  const head = `    <testcase name=${quoted(name)} classname=${quoted(at)} time="0"`
  if (problem === undefined) return [`${head}/>`]
  return [
    `${head}>`,
    `      <${outcome} message=${quoted(problem)}>${escaped(`${at}: ${problem}`)}</${outcome}>`,
    '    </testcase>',
  ]
}

function quoted(text: string): string {
  return `"${escaped(text).replaceAll('\n', '&#10;')}"`
}

/** XML has no way to write control characters, so those stand as in tables (XML 1.0 §2.2). */
function escaped(text: string): string {
  return printable(text).replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`)
}
