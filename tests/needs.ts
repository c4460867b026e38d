import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

/**
 * Test options for a suite that holds us against programs of others: `test('…', needs('swtpm'), …)`. What is no program,
 * such as a library's header, is named by the path at which Debian installs it.
 * Skips where one is absent, and says which; in CI the reporter counts that as a failure.
 */
export function needs(...programs: readonly string[]): { skip?: string } {
  const absent = programs.filter((program) => !isInstalled(program))
  return absent.length === 0 ? {} : { skip: `needs ${absent.join(' and ')}` }
}

function isInstalled(program: string): boolean {
  if (isAbsolute(program)) return existsSync(program)
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
