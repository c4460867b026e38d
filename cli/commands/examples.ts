/** What stands below a command's help: lines that can be typed as they are, but for their names. */
export function examples(...lines: readonly string[]): string {
  return ['', lines.length === 1 ? 'Example:' : 'Examples:', ...lines.map((line) => `  touchmark ${line}`)].join('\n')
}
