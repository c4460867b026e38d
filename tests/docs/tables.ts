/** The rows of all tables of a page whose head begins with these cells. */
export function tableRows(page: string, ...head: readonly string[]): readonly (readonly string[])[] {
  const rows: (readonly string[])[] = []
  let inTable = false
  for (const line of page.split('\n')) {
    const cells = line.startsWith('|') ? line.split('|').slice(1, -1) : []
    const trimmed = cells.map((cell) => cell.trim())
    if (cells.length === 0) inTable = false
    else if (head.every((name, at) => trimmed[at] === name)) inTable = true
    else if (inTable && !/^-+$/.test(trimmed[0] ?? '')) rows.push(trimmed)
  }
  return rows
}
