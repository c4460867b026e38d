import { escapedLine } from './printable.js'

/** Text is escaped; JSON does that by itself and stays what a program can read. */
export type CsvCell = string | number | { readonly json: string }

/** One line as RFC 4180 §2 has it, without its end, whatever the cells hold. */
export function csvLine(cells: readonly CsvCell[]): string {
  return cells.map(csvField).join(',')
}

function csvField(cell: CsvCell): string {
  if (typeof cell === 'number') return String(cell)
  const safe = typeof cell === 'string' ? escapedLine(cell).replace(formula, "$1'") : withoutSemicolons(cell.json)
  return /[",;']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/**
 * What a spreadsheet takes for a formula, also of full width: at the beginning, and where one that goes by semicolons and
 * knows nothing of our quotes begins a cell. Those that have a ' already get one more, so that ours can be told from it.
 */
const formula = /(^|;)(?='*[=+\-@＝＋－＠])/g

/** They stand in strings only, and there their escape means the same. */
function withoutSemicolons(json: string): string {
  return json.replaceAll(';', '\\u003b')
}
