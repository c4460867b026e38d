import { printable } from './printable.js'

/** One line as RFC 4180 §2 has it, without its end. */
export function csvLine(cells: readonly (string | number)[]): string {
  return cells.map((cell) => (typeof cell === 'number' ? String(cell) : csvField(cell))).join(',')
}

/** Text, and nothing that a spreadsheet would calculate. */
function csvField(text: string): string {
  const safe = printable(text.replace(formula, "$1'"))
  return /[",;\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/**
 * What a spreadsheet takes for a formula, also of full width: at the beginning, and where one that goes by semicolons and
 * knows nothing of our quotes begins a cell.
 */
const formula = /(^|[;\n])(?=[=+\-@＝＋－＠])/g
