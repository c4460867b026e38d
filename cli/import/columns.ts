import {
  type ExpectedDevice,
  type Fingerprint,
  isName,
  messageOf,
  parseDeviceId,
  parseFingerprint,
  parseProfileName,
  type ProfileName,
} from '#protocol'
import { CliError } from '../errors.js'

/** What is wrong with one cell, or with a row as a whole. */
export interface RowProblem {
  readonly row: number
  readonly column: string
  readonly problem: string
}

/** By what a device is recognised when it comes, and in which column that stands. */
const anchors = [
  { column: 'ek_hash', kind: 'ek' },
  { column: 'idevid_spki', kind: 'idevid' },
] as const
const anchorColumns = anchors.map(({ column }) => column)

/** Where the hash of such an anchor stands. */
export function columnOf(kind: ExpectedDevice['anchor']['kind']): string {
  return anchors.find((anchor) => anchor.kind === kind)?.column ?? kind
}

const known = `id, ${anchorColumns.join(', ')}, profile and label.NAME`

/** What a file's header says: which column is which, and how each row reads. */
export class Columns {
  readonly #names: readonly string[]
  readonly #profile: ProfileName | undefined

  /** `profile`: of rows that name none. @throws CliError CSV_INVALID */
  constructor(header: readonly string[], profile?: ProfileName) {
    for (const [at, name] of header.entries()) requireKnown(header, at, name)
    if (!header.includes('id')) throw invalid('the first row names the columns, and there is none called id')
    if (!anchorColumns.some((name) => header.includes(name))) {
      throw invalid(`expected a column ${anchorColumns.join(' or ')}: nothing else tells a device when it comes`)
    }
    this.#names = header
    this.#profile = profile
  }

  /** The device of a row, or all that is wrong with it. */
  read(row: number, cells: readonly string[]): ExpectedDevice | readonly RowProblem[] {
    const problems: RowProblem[] = []
    const fail = (column: string, problem: string): void => void problems.push({ row, column, problem })
    if (cells.length !== this.#names.length) {
      fail('', `expected ${this.#names.length} cells as in the header, got ${cells.length}`)
      return problems
    }
    const cell = new Map(this.#names.map((name, at) => [name, cells[at] ?? '']))
    const id = parsed('id', cell.get('id') ?? '', parseDeviceId, fail)
    const profile = parsed('profile', cell.get('profile') ?? '', parseProfileName, fail) ?? this.#profile
    const anchor = anchorOf(cell, fail)
    const labels = labelsOf(cell, fail)
    if (cell.get('id') === '') fail('id', 'expected a device id, got nothing')
    if (problems.length > 0 || id === undefined || anchor === undefined) return problems
    return { id, anchor, labels, ...(profile !== undefined && { profile }) }
  }
}

type Fail = (column: string, problem: string) => void

/** An empty cell is none. */
function parsed<T>(column: string, text: string, parse: (text: string) => T, fail: Fail): T | undefined {
  if (text === '') return undefined
  try {
    return parse(text)
  } catch (error) {
    fail(column, messageOf(error))
    return undefined
  }
}

function anchorOf(cell: ReadonlyMap<string, string>, fail: Fail): ExpectedDevice['anchor'] | undefined {
  const given = anchors.filter(({ column }) => (cell.get(column) ?? '') !== '')
  const [anchor, other] = given
  if (anchor === undefined) fail(anchorColumns[0] ?? '', `expected a hash in one of ${anchorColumns.join(', ')}`)
  if (anchor && other) fail(other.column, `expected one hash, and ${anchor.column} has one too`)
  if (anchor === undefined || other !== undefined) return undefined
  const hash = parsed(anchor.column, cell.get(anchor.column) ?? '', parseHash, fail)
  return hash && { kind: anchor.kind, hash }
}

/** As openssl writes it, too. */
function parseHash(text: string): Fingerprint {
  return parseFingerprint(text.toLowerCase().replaceAll(':', ''))
}

function labelsOf(cell: ReadonlyMap<string, string>, fail: Fail): Readonly<Record<string, string>> {
  const labels: [name: string, value: string][] = []
  for (const [column, value] of cell) {
    if (!column.startsWith(labelPrefix) || value === '') continue
    if (isName(value)) labels.push([column.slice(labelPrefix.length), value])
    else fail(column, `a label's value is 1 to 64 of A-Z a-z 0-9 . _ -, got ${JSON.stringify(value.slice(0, 80))}`)
  }
  return Object.fromEntries(labels)
}

const labelPrefix = 'label.'

function requireKnown(header: readonly string[], at: number, name: string): void {
  const shown = JSON.stringify(name.slice(0, 80))
  if (header.indexOf(name) !== at) throw invalid(`the column ${shown} is there twice`)
  const isLabel = name.startsWith(labelPrefix) && isName(name.slice(labelPrefix.length))
  if (isLabel || name === 'id' || name === 'profile' || anchors.some(({ column }) => column === name)) return
  const hint = name.includes(';') ? '; cells have commas between them, not semicolons' : ''
  throw invalid(`the columns are ${known}, got ${shown}${hint}`)
}

function invalid(problem: string): CliError {
  return new CliError('CSV_INVALID', `row 1: ${problem}`)
}
