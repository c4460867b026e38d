import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AgentError } from './errors.js'

/**
 * What the state folder asks of a disk. Each call that changes something returns only when the change would survive a
 * power cut, and a power cut within it leaves either the old or the new, never a half.
 */
export interface Disk {
  /** Undefined when there is no such file. */
  read(path: string): Promise<string | undefined>
  /** Names in a folder; empty when there is no such folder. */
  list(folder: string): Promise<readonly string[]>
  /** Where a symbolic link points, as written; undefined when there is none. */
  target(link: string): Promise<string | undefined>
  makeFolder(path: string): Promise<void>
  write(path: string, content: string, mode?: number): Promise<void>
  /** Points a symbolic link at `target`, whether it existed or not. */
  point(link: string, target: string): Promise<void>
  /** A file or a whole folder; no matter whether it exists. */
  remove(path: string): Promise<void>
}

/** Ends of names that only a power cut leaves behind. */
export const unfinished = '.unfinished'

export const nodeDisk: Disk = {
  read: (path) => orAbsent(path, readFile(path, 'utf8')),

  list: async (folder) => (await orAbsent(folder, readdir(folder))) ?? [],

  target: (link) => orAbsent(link, readlink(link)),

  makeFolder: (path) =>
    saying(path, async () => {
      const first = await mkdir(path, { recursive: true, mode: 0o700 })
      if (first === undefined) return
      // Every folder that came into being is an entry in its parent, up to the one that was there before.
      for (let folder = path; folder.length >= first.length; folder = dirname(folder)) await syncFolder(dirname(folder))
    }),

  write: (path, content, mode = 0o644) =>
    saying(path, async () => {
      const temporary = path + unfinished
      await rm(temporary, { force: true })
      // O_EXCL: whatever stands there already (a link of someone else, say) is never written through.
      const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode)
      await closing(file, async () => {
        await file.writeFile(content)
        await file.sync()
      })
      await rename(temporary, path)
      await syncFolder(dirname(path))
    }),

  point: (link, target) =>
    saying(link, async () => {
      const temporary = link + unfinished
      await rm(temporary, { force: true })
      await symlink(target, temporary)
      await rename(temporary, link) // rename(2) replaces a link in one step
      await syncFolder(dirname(link))
    }),

  remove: (path) =>
    saying(path, async () => {
      await rm(path, { recursive: true, force: true })
      await syncFolder(dirname(path))
    }),
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(join(folder, '.'), constants.O_RDONLY)
  await closing(handle, () => handle.sync())
}

async function closing(handle: FileHandle, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } finally {
    await handle.close()
  }
}

async function orAbsent<T>(path: string, reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (cause) {
    if (isSystemError(cause) && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')) return undefined
    throw failed(path, cause)
  }
}

async function saying(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    throw failed(path, cause)
  }
}

function failed(path: string, cause: unknown): AgentError {
  const reason = isSystemError(cause) ? (advice[cause.code ?? ''] ?? cause.message) : String(cause)
  return new AgentError('STATE_FAILED', `${path}: ${reason}`, { cause })
}

const advice: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; run the agent as the user who owns the folder, or name another with --data',
  EPERM: 'operation not permitted; run the agent as the user who owns the folder, or name another with --data',
  EROFS: 'the file system is read-only; name a writable folder with --data',
  ENOSPC: 'no space left on the device; the agent needs about 100 kB',
}

export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error
}
