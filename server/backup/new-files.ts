import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { usable } from '../files.js'

/** Files that were not there before, and their folders; see {@link settle}. */
export class NewFiles {
  readonly #folders = new Set<string>()

  /** Its content is durable when it resolves. @throws ServerError FOLDER_UNUSABLE, also where it is there already */
  async write(path: string, bytes: Uint8Array, { mode = 0o600, folderMode = 0o700 } = {}): Promise<void> {
    await usable(path, async () => {
      const folder = dirname(path)
      if (!this.#folders.has(folder)) await mkdir(folder, { recursive: true, mode: folderMode })
      this.#folders.add(folder)
      const file = await open(path, 'wx', mode)
      try {
        await file.writeFile(bytes)
        await file.sync()
      } finally {
        await file.close()
      }
    })
  }

  /** The names of all of them, below a folder that is there, are durable when it resolves. */
  async settle(top: string): Promise<void> {
    const all = new Set<string>()
    for (const folder of this.#folders) {
      for (let above = folder; above.length > top.length; above = dirname(above)) all.add(above)
    }
    for (const folder of [...all, top]) await syncFolder(folder)
  }
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
