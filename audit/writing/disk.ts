import { closeSync, fdatasyncSync, fsync as fsyncCallback, fsyncSync, openSync, writeSync } from 'node:fs'
import { mkdir, open, rename, rm, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

/** The few things the log asks of a disk. Tests put one in front that fails. */
export interface Disk {
  /** With the folders above it; durable when it resolves. */
  makeFolder(path: string): Promise<void>
  /** A new, empty file to append to; its name is durable when this returns. */
  openSegment(path: string): Segment
  /** New files with their folders; names and content are durable when it resolves. */
  writeFiles(files: readonly NewFile[]): Promise<void>
  /** Old or new content, never anything between; durable when it resolves. */
  replaceFile(file: NewFile): Promise<void>
  /** For what is no longer needed, and the folder that it leaves empty: both may come back after a crash. */
  removeFile(path: string): Promise<void>
}

export interface Segment {
  /** Durable when it returns. */
  append(bytes: Uint8Array): void
  close(): void
}

export interface NewFile {
  readonly path: string
  readonly bytes: Uint8Array
}

/** So many files are written and synced at a time: the file system lets them share its journal's commits. */
const parallelWrites = 16

const fsync = promisify(fsyncCallback)

export function createDisk(): Disk {
  const knownFolders = new Set<string>()

  const makeFolder = async (path: string): Promise<void> => {
    if (knownFolders.has(path)) return
    const outermost = await mkdir(path, { recursive: true, mode: 0o755 })
    for (let made = path; outermost !== undefined; made = dirname(made)) {
      await syncFolder(dirname(made))
      if (made === outermost || made === dirname(made)) break
    }
    knownFolders.add(path)
  }

  return {
    makeFolder,

    openSegment(path) {
      const file = openSync(path, 'w', 0o600)
      syncFolderNow(dirname(path))
      return {
        append(bytes) {
          writeAll(file, bytes)
          fdatasyncSync(file)
        },
        close: () => closeSync(file),
      }
    },

    async writeFiles(files) {
      const folders = new Set(files.map(({ path }) => dirname(path)))
      for (const folder of folders) await makeFolder(folder)
      const queue = files.values()
      const work = async (): Promise<void> => {
        for (const file of queue) await writeSynced(file)
      }
      await Promise.all(Array.from({ length: parallelWrites }, work))
      for (const folder of folders) await syncFolder(folder)
    },

    async replaceFile({ path, bytes }) {
      await writeSynced({ path: `${path}.new`, bytes })
      await rename(`${path}.new`, path)
      await syncFolder(dirname(path))
    },

    async removeFile(path) {
      await rm(path, { force: true })
      await rmdir(dirname(path)).then(
        () => knownFolders.delete(dirname(path)),
        () => undefined, // not empty
      )
    },
  }
}

/** Only the sync is worth waiting for elsewhere: the rest takes less time than handing it to another thread. */
async function writeSynced({ path, bytes }: NewFile): Promise<void> {
  const file = openSync(path, 'w', 0o644)
  try {
    writeAll(file, bytes)
    await fsync(file)
  } finally {
    closeSync(file)
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written)
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function syncFolderNow(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
