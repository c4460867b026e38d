import { once } from 'node:events'
import { Document, Scalar, visit } from 'yaml'
import { csvLine } from './csv.js'
import { escaped, escapedLine, printable } from './printable.js'
import { Progress } from './progress.js'
import { Screen } from './screen.js'

export const formats = ['table', 'wide', 'json', 'yaml', 'csv'] as const
export type Format = (typeof formats)[number]

/** One column of a table; `wide` ones are shown with `-o wide` and in CSV only. */
export interface Column<Row> {
  readonly name: string
  readonly of: (row: Row) => string
  readonly wide?: true
}

/** One part of a line in a stream. */
export interface Cell {
  readonly text: string
  /** At least so many characters. */
  readonly width?: number
  readonly wide?: true
}

export interface Streams {
  /** Data, and nothing else. */
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly rows?: number }
  /** What is said to a person. */
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly env: NodeJS.ProcessEnv
}

/** Writes answers in the format that was asked for. */
export class Output {
  readonly format: Format
  readonly #streams: Streams

  constructor(format: Format, streams: Streams) {
    this.format = format
    this.#streams = streams
  }

  /** Rather than for programs. */
  get isForPeople(): boolean {
    return this.format === 'table' || this.format === 'wide'
  }

  /** Without a header where it stands above already. */
  list<Row>(rows: readonly Row[], columns: readonly Column<Row>[], { header = true } = {}): void {
    switch (this.format) {
      case 'json':
        return this.text(encodeJson(rows, 2))
      case 'yaml':
        return this.text(encodeYaml(rows))
      case 'csv':
        return this.text(encodeCsv(rows, columns, header))
      case 'table':
      case 'wide':
        return this.text(this.table(rows, columns, { header }).join('\n'))
    }
  }

  /** One thing: its own form in JSON and YAML; for people, a name and a value a line. */
  one(value: unknown, lines: readonly (readonly [name: string, value: string | undefined])[]): void {
    const shown = lines.filter((line): line is readonly [string, string] => line[1] !== undefined)
    if (this.format === 'json') return this.text(encodeJson(value, 2))
    if (this.format === 'yaml') return this.text(encodeYaml(value))
    if (this.format === 'csv') return this.text(shown.map(csvLine).join('\n'))
    const width = Math.max(...shown.map(([name]) => name.length))
    this.text(shown.map(([name, text]) => `${this.#dim(name.padEnd(width))}  ${escaped(text)}`).join('\n'))
  }

  /**
   * One item of a stream: a JSON document a line, or a line of cells, which can only guess how wide the next ones are.
   * CSV begins with a header, so it is for those who know what comes. Values in cells are escaped by who made these.
   */
  item(value: unknown, cells: readonly Cell[]): void {
    if (this.format === 'json') return this.text(encodeJson(value))
    if (this.format === 'yaml') return this.text(`---\n${encodeYaml(value)}`)
    const shown = cells.filter(({ wide }) => this.format === 'wide' || wide === undefined)
    const fields = shown.map(({ text, width = 0 }) => printable(text).replaceAll('\n', '\\n').padEnd(width))
    this.text(fields.join('  ').trimEnd())
  }

  /** A sentence that is the answer. */
  line(sentence: string): void {
    this.text(printable(sentence).replaceAll('\n', '\\n'))
  }

  /** Whether lines of data go to the terminal, where they show by themselves how far the work is. */
  get isShown(): boolean {
    return this.#streams.stdout.isTTY === true
  }

  /** Data as it is. */
  text(text: string): void {
    if (text !== '') this.#streams.stdout.write(`${text}\n`)
  }

  /** Bytes as they are, no faster than they are taken, and given on. */
  async *passOn(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const piece of pieces) {
      if (!this.#streams.stdout.write(piece)) await once(this.#streams.stdout, 'drain')
      yield piece
    }
  }

  /** For the person at the terminal; never data. */
  note(text: string): void {
    this.#streams.stderr.write(`${printable(text)}\n`)
  }

  /** How far long work is, for the person at the terminal; it begins now. `of`: what is counted, by default records. */
  progress(of?: string): Progress {
    return new Progress(this.#streams.stderr, () => performance.now(), of)
  }

  /** A line a row, in columns as wide as they need to be. */
  table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], { header = true } = {}): readonly string[] {
    const shown = columns.filter((column) => this.format === 'wide' || column.wide === undefined)
    const cells = rows.map((row) => shown.map((column) => escapedLine(column.of(row)) || '-'))
    const widths = shown.map(({ name }, at) => Math.max(name.length, ...cells.map((line) => line[at]?.length ?? 0)))
    const line = (fields: readonly string[]) =>
      fields
        .map((field, at) => field.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd()
    const names = header ? [this.#dim(line(shown.map(({ name }) => name.toUpperCase())))] : []
    return [...names, ...cells.map(line)]
  }

  /** The terminal as a whole, where a table is to be shown on one that can move its cursor; else undefined. */
  openScreen(): Screen | undefined {
    const { stdout, env } = this.#streams
    return this.isForPeople && stdout.isTTY === true && env['TERM'] !== 'dumb' ? new Screen(stdout) : undefined
  }

  #dim(text: string): string {
    const { stdout, env } = this.#streams
    return stdout.isTTY === true && !env['NO_COLOR'] ? `\x1b[2m${text}\x1b[22m` : text
  }
}

/** JSON escapes only some of what a terminal obeys; the rest is escaped the same way, so that it stays the same JSON. */
export function encodeJson(value: unknown, indent?: number): string {
  return withEscapes(JSON.stringify(value, undefined, indent))
}

/** What neither JSON nor YAML escapes by itself, and a terminal or the one who reads it would obey. */
const obeyed = /[\u007f-\u009f\u2028\u2029]|\p{Cf}/gu

function withEscapes(text: string): string {
  return text.replace(obeyed, (found) =>
    [...Array(found.length).keys()].map((at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  )
}

/** Escapes mean something in double quotes only, so that these stand around whatever needs one. */
function encodeYaml(value: unknown): string {
  const document = new Document(value)
  visit(document, {
    Scalar: (_key, scalar) => {
      if (typeof scalar.value === 'string' && scalar.value.search(obeyed) >= 0) scalar.type = Scalar.QUOTE_DOUBLE
    },
  })
  return withEscapes(document.toString({ lineWidth: 0 }).trimEnd())
}

function encodeCsv<Row>(rows: readonly Row[], columns: readonly Column<Row>[], header: boolean): string {
  const names = header ? [csvLine(columns.map(({ name }) => name))] : []
  return [...names, ...rows.map((row) => csvLine(columns.map((column) => column.of(row))))].join('\n')
}
