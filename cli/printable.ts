/** Topics, client ids and labels come from outside: whatever could steer a terminal is shown as its code point. */
export function printable(text: string): string {
  return text.replace(/[^\P{C}\n]|[\u2028\u2029]/gu, escapeCodePoint)
}

/** The same for one value. Its own backslashes are doubled, so that nobody can type what looks like an escape. */
export function escaped(value: string): string {
  return printable(value.replaceAll('\\', '\\\\'))
}

/** And in one line. */
export function escapedLine(value: string): string {
  return escaped(value).replaceAll('\n', '\\n')
}

function escapeCodePoint(found: string): string {
  return `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`
}
