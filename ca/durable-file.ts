import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CaError } from './errors.js'

/** Beside the file it becomes; one that is found at start was never finished and was never read. */
const unfinished = '.unfinished'

/** A folder that only its owner can look into, without what a crash left half written. @throws CaError CA_STORAGE_FAILED */
export async function openFolder(folder: string): Promise<void> {
  await storing(folder, async () => {
    const made = await mkdir(folder, { recursive: true, mode: 0o700 })
    if (made !== undefined) for (const parent of [dirname(folder), dirname(made)]) await syncFolder(parent)
    for (const name of await readdir(folder)) {
      if (name.endsWith(unfinished)) await rm(join(folder, name))
    }
  })
}

/** The whole text is there after a power cut, or the file is as it was: written beside, synced, renamed, folder synced. */
export async function writeDurably(path: string, text: string): Promise<void> {
  await storing(path, async () => {
    const beside = path + unfinished
    await rm(beside, { force: true })
    const file = await open(beside, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(beside, path)
    await syncFolder(dirname(path))
  })
}

/** @throws CaError CA_STORAGE_FAILED */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new CaError('CA_STORAGE_FAILED', `cannot read ${path}`, { cause })
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function storing(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    throw new CaError('CA_STORAGE_FAILED', `cannot write ${path}`, { cause })
  }
}
