import { constants } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isSystemError, unfinished } from '../disk.js'
import { AgentError } from '../errors.js'
import type { OwnerIds } from './owner.js'

export interface OutputFile {
  readonly path: string
  readonly content: string | Uint8Array
  readonly mode: number
}

/**
 * Puts files where others read them. All of them are on the disk before the first takes its place, so that key and
 * certificate change within a moment of each other; each of them is the old or the new, never a half.
 * @throws AgentError OUTPUT_FAILED
 */
export async function placeFiles(files: readonly OutputFile[], owner: OwnerIds): Promise<void> {
  try {
    for (const file of files) await writeBeside(file, owner)
    for (const { path } of files) await rename(path + unfinished, path)
    for (const folder of new Set(files.map(({ path }) => dirname(path)))) await syncFolder(folder)
  } catch (cause) {
    for (const { path } of files) await rm(path + unfinished, { force: true }).catch(() => undefined)
    if (!isSystemError(cause)) throw cause
    throw new AgentError('OUTPUT_FAILED', cause.message, { cause })
  }
}

/** Beside its place and not elsewhere: that may be another file system. Nobody else can read it before it is theirs. */
async function writeBeside({ path, content, mode }: OutputFile, { uid, gid }: OwnerIds): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 })
  await rm(path + unfinished, { force: true })
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  const file = await open(path + unfinished, flags, 0o600)
  try {
    await file.writeFile(content)
    if (uid !== undefined || gid !== undefined) await file.chown(uid ?? -1, gid ?? -1)
    await file.chmod(mode)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(join(folder, '.'), constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
