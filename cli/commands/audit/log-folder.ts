import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { CliError } from '../../errors.js'

/**
 * The folder as it was given. One that holds a part of a log is a log: what is missing there is damage.
 * @throws CliError CANNOT_READ where there is nothing of a log
 */
export function requireLogFolder(folder: string): string {
  if (isLog(folder)) return folder
  const near = [join(folder, 'audit'), dirname(resolve(folder))].find(isLog)
  const hint = near === undefined ? '' : `; there is one in ${near}`
  throw new CliError('CANNOT_READ', `there is no log in ${folder}: expected a folder with log/checkpoint${hint}`)
}

function isLog(folder: string): boolean {
  return ['log/checkpoint', 'log/tile', 'wal'].some((name) => existsSync(join(folder, name)))
}
