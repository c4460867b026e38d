import { readFile } from 'node:fs/promises'
import { AuditError } from './errors.js'
import { orNothing } from './or-nothing.js'

/**
 * A small file of the log, `name` as it is called below the log's folder; undefined where there is none.
 * @throws AuditError AUDIT_CORRUPT where something else stands in its place
 */
export async function readTextFile(path: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'EISDIR' && code !== 'ENOTDIR') return orNothing(undefined)(error)
    throw new AuditError('AUDIT_CORRUPT', `${name}: expected a file, got something else`, { sequence: 0, cause: error })
  }
}
