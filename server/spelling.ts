import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Where a command is looked for. */
export interface Shell {
  readonly folder: string
  /** The variable PATH. */
  readonly path: string
}

/**
 * How a command of this package is typed so that it is found: by its name where it is installed, else through npx in a
 * clone or in a project that has the package. The folders that npx itself puts on the path do not count.
 */
export function spell(command: 'touchmark' | 'touchmark-agent', { folder, path }: Shell): string {
  const folders = path.split(delimiter).filter((entry) => entry !== '' && !entry.endsWith(join('node_modules', '.bin')))
  const installed = folders.some((entry) => isExecutable(join(entry, command)))
  const near = isOurs(folder) || isExecutable(join(folder, 'node_modules', '.bin', command))
  return !installed && near ? `npx ${command}` : command
}

function isOurs(folder: string): boolean {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    return typeof manifest === 'object' && manifest !== null && 'name' in manifest && manifest.name === 'touchmark'
  } catch {
    return false
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
