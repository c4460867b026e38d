/** Topics, client ids and labels come from outside: whatever could steer a terminal is shown as its code point. */
export function printable(text: string): string {
  return text.replace(/[^\P{C}\n]|[\u2028\u2029]/gu, escapeCodePoint)
}

function escapeCodePoint(found: string): string {
  return `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`
}
