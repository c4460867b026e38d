import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isSystemError } from '../disk.js'
import type { IssuedGeneration } from '../generation.js'
import { keyFileNames } from '../key-file.js'
import { isLocked } from '../lock.js'
import { type Check, checking, fail, ok, warn } from './check.js'

/** The folder is ours to write in, and its secrets are ours alone to read. */
export function checkFolder(folder: string, current: IssuedGeneration | undefined): Promise<Check> {
  return checking('state folder', async () => {
    const mode = await modeOf(folder)
    if (mode === undefined) return warn(`${folder} is not there yet; "enroll" makes it`)
    if (!(await isWritable(folder))) return fail(`${folder} cannot be written; run as the user who owns it`)
    const keyFile = current && join(current.folder, keyFileNames[current.key.kind])
    const keyMode = keyFile === undefined ? undefined : await modeOf(keyFile)
    if (keyFile !== undefined && keyMode !== undefined && (keyMode & 0o077) !== 0) {
      return fail(`${keyFile} can be read by others: chmod 600`)
    }
    if ((mode & 0o022) !== 0) return fail(`${folder} can be written by others: chmod 700`)
    const runs = (await isLocked(folder)) ? '; an agent works in it' : ''
    return (mode & 0o055) === 0 ? ok(`${folder}${runs}`) : warn(`${folder} can be read by others: chmod 700${runs}`)
  })
}

export async function checkIdentity(current: IssuedGeneration | undefined, now: number): Promise<Check> {
  if (current === undefined) return { name: 'identity', ...warn('not enrolled') }
  const { deviceId, notAfter, keyKind } = current.facts
  const where = keyKind === 'tpm' ? 'in the TPM' : 'in a file'
  const is = `${deviceId}, key ${where}, certificate until ${notAfter.toISOString()}`
  return {
    name: 'identity',
    ...(notAfter.getTime() <= now ? fail(`${is}: expired; join again with "enroll"`) : ok(is)),
  }
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode & 0o777
  } catch (error) {
    if (isSystemError(error)) return undefined
    throw error
  }
}

async function isWritable(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}
