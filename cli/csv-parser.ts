import { CliError } from './errors.js'

/** One record; the header is row 1, as a spreadsheet counts. */
export interface CsvRow {
  readonly row: number
  readonly cells: readonly string[]
}

/** Of one row, so that a quote which nobody closes does not swallow a file. */
export const maxRowCharacters = 64 * 1024

/**
 * Reads RFC 4180 from text that comes piece by piece, and keeps no more of it than the row that it is in. Lines may end
 * as they do on Windows or on Unix. What has no form is refused: whoever guesses where a cell ends registers the wrong
 * device.
 */
export class CsvParser {
  #state: 'begins' | 'bare' | 'quoted' | 'closed' | 'returned' = 'begins'
  #cells: string[] = []
  #cell = ''
  #size = 0
  #row = 1

  /** The row that is being read. */
  get row(): number {
    return this.#row
  }

  /** The rows that this piece ends. @throws CliError CSV_INVALID */
  push(text: string): readonly CsvRow[] {
    const rows: CsvRow[] = []
    let at = 0
    while (at < text.length) at = this.#step(text, at, rows)
    return rows
  }

  /** What is left where the last line has no end. @throws CliError CSV_INVALID */
  end(): readonly CsvRow[] {
    if (this.#state === 'quoted') throw this.#invalid('a quote is not closed')
    if (this.#state === 'returned') return this.push('\n')
    return this.#state === 'begins' && this.#cells.length === 0 ? [] : [this.#endRow()]
  }

  #step(text: string, at: number, rows: CsvRow[]): number {
    switch (this.#state) {
      case 'begins':
        this.#state = text[at] === '"' ? 'quoted' : 'bare'
        return this.#state === 'quoted' ? at + 1 : at
      case 'bare': {
        const end = endOfBare(text, at)
        this.#add(text.slice(at, end))
        if (text[end] === '"') throw this.#invalid('a quote inside a cell that does not begin with one')
        return end === text.length ? end : this.#separate(text, end, rows)
      }
      case 'quoted': {
        const found = text.indexOf('"', at)
        const end = found < 0 ? text.length : found
        this.#add(text.slice(at, end))
        if (found < 0) return end
        this.#state = 'closed'
        return end + 1
      }
      case 'closed': // or it was the first of two, which stand for one (§2.7)
        if (text[at] !== '"') return this.#separate(text, at, rows)
        this.#add('"')
        this.#state = 'quoted'
        return at + 1
      case 'returned':
        if (text[at] !== '\n') throw this.#invalid('a carriage return that ends no line; expected CR LF, or LF alone')
        rows.push(this.#endRow())
        return at + 1
    }
  }

  /** Behind a cell. */
  #separate(text: string, at: number, rows: CsvRow[]): number {
    const separator = text[at]
    if (separator === ',') this.#endCell()
    else if (separator === '\n') rows.push(this.#endRow())
    else if (separator === '\r') this.#state = 'returned'
    else throw this.#invalid('text behind a closing quote; a quote inside quotes is written twice')
    return at + 1
  }

  #add(text: string): void {
    this.#size += text.length
    if (this.#size > maxRowCharacters) {
      throw this.#invalid(`longer than ${maxRowCharacters} characters; is a quote not closed?`)
    }
    this.#cell += text
  }

  #endCell(): void {
    this.#cells.push(this.#cell)
    this.#size++
    this.#cell = ''
    this.#state = 'begins'
  }

  #endRow(): CsvRow {
    this.#endCell()
    const row = { row: this.#row, cells: this.#cells }
    this.#row++
    this.#cells = []
    this.#size = 0
    return row
  }

  #invalid(problem: string): CliError {
    return new CliError('CSV_INVALID', `row ${this.#row}: ${problem}`)
  }
}

const special = /[",\r\n]/g

function endOfBare(text: string, from: number): number {
  special.lastIndex = from
  return special.exec(text)?.index ?? text.length
}
