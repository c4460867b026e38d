import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ServerError } from './errors.js'

/** A folder that only its owner can look into; one that is there keeps its mode. @throws ServerError FOLDER_UNUSABLE */
export async function makeFolder(path: string): Promise<void> {
  await usable(path, () => mkdir(path, { recursive: true, mode: 0o700 }))
}

/** @throws ServerError FOLDER_UNUSABLE */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  return usable(path, async () => {
    try {
      return await readFile(path)
    } catch (error) {
      if (isErrno(error) && error.code === 'ENOENT') return undefined
      throw error
    }
  })
}

/**
 * The whole content or none, on disk when it resolves: written beside its place, synced, and only then given its name.
 * @throws ServerError FOLDER_UNUSABLE
 */
export async function writeDurably(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  await usable(path, async () => {
    const beside = join(dirname(path), `.${process.pid}.${Date.now()}.part`)
    await withFile(beside, 'wx', mode, async (file) => {
      await file.writeFile(content)
      await file.sync()
    })
    await rename(beside, path)
    await withFile(dirname(path), 'r', 0, (folder) => folder.sync())
  })
}

const advice: Readonly<Record<string, string>> = {
  EACCES: 'no permission; it must be readable and writable for the user that runs touchmark',
  EPERM: 'no permission; it must be readable and writable for the user that runs touchmark',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ENOTDIR: 'a part of its path is a file',
  EEXIST: 'a file of that name is in the way',
  ENOENT: 'a part of its path is not there, and cannot be made',
  EMFILE: 'too many open files; raise the limit (ulimit -n)',
}

/** What the operating system says about a file, for the person who has to mend it; deepest cause first. */
export function adviceFor(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  return adviceFor(error.cause) ?? (isErrno(error) ? advice[error.code] : undefined)
}

export function isErrno(error: unknown): error is NodeJS.ErrnoException & { readonly code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error
}

/** @throws ServerError FOLDER_UNUSABLE in words about this path */
export async function usable<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    throw new ServerError('FOLDER_UNUSABLE', `${path}: ${adviceFor(cause) ?? String(cause)}`, { cause })
  }
}

async function withFile<T>(
  path: string,
  flags: string,
  mode: number,
  act: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const file = await open(path, flags, mode)
  try {
    return await act(file)
  } finally {
    await file.close()
  }
}
