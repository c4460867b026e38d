import { open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ServerError } from '../errors.js'
import { isErrno, makeFolder, readIfThere } from '../files.js'
import { syncFolder } from './new-files.js'

/** Stands in a data folder from before anything else does until all of it does. */
const marker = '.restoring'

/** A data folder in the making: empty at first, and in the end whole, or empty again. */
export class RestoringFolder {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** @throws ServerError RESTORE_NOT_EMPTY, FOLDER_UNUSABLE */
  static async claim(path: string): Promise<RestoringFolder> {
    await makeFolder(path)
    const [found] = await readdir(path)
    if (found !== undefined) throw notEmpty(path, found)
    try {
      await (await open(join(path, marker), 'wx', 0o600)).close() // of two that come at once, for one
    } catch (error) {
      throw isErrno(error) && error.code === 'EEXIST' ? notEmpty(path, marker) : error
    }
    await syncFolder(path)
    return new RestoringFolder(path)
  }

  inside(...names: readonly string[]): string {
    return join(this.path, ...names)
  }

  /** From here on a start takes it. */
  async complete(): Promise<void> {
    await syncFolder(this.path)
    await rm(this.inside(marker))
    await syncFolder(this.path)
  }

  /** Leaves the folder as it was: with nothing in it. */
  async abandon(): Promise<void> {
    for (const name of await readdir(this.path)) {
      if (name !== marker) await rm(this.inside(name), { recursive: true, force: true })
    }
    await rm(this.inside(marker), { force: true })
  }
}

/** @throws ServerError RESTORE_UNFINISHED */
export async function requireRestored(dataFolder: string): Promise<void> {
  if ((await readIfThere(join(dataFolder, marker))) === undefined) return
  const problem = `${dataFolder} is being restored, or that ended midway: let it end, or empty the folder and restore again`
  throw new ServerError('RESTORE_UNFINISHED', problem)
}

function notEmpty(path: string, found: string): ServerError {
  return new ServerError(
    'RESTORE_NOT_EMPTY',
    `expected an empty folder, got ${path} with ${found} in it: choose another`,
  )
}
