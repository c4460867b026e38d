import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  fsync as fsyncCallback,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { mkdir, open, rename, rm, rmdir, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { syncFolder, syncFolderNow } from '../sync-folder.js'
import { unusedByte } from './torn-batch.js'

/** The few things the log asks of a disk. Tests put one in front that fails, or one that forgets. */
export interface Disk {
  /** With the folders above it; durable when it resolves. */
  makeFolder(path: string): Promise<void>
  /** A new, empty file to append to; its name is durable when this returns. */
  openSegment(path: string): Segment
  /** A new file with its folders. Others can read it when this returns; a power cut takes it away until it is settled. */
  writeFile(file: NewFile): void
  /** Files that were written into a folder or below it are durable when it resolves, names and content. */
  settleFiles(folder: string, paths: readonly string[]): Promise<void>
  /** Old or new content, never anything between; durable when it resolves. */
  replaceFile(file: NewFile): Promise<void>
  /**
   * For what is no longer needed, and the folder that it leaves empty. After a power cut the ones that were removed last
   * may be there again.
   */
  removeFile(path: string): Promise<void>
  /** Takes room: when it resolves there is a file of that size, full of `unusedByte`, that nothing else can have. */
  allocate(path: string, bytes: number): Promise<void>
  /** Whether there is such a file. */
  isAllocated(path: string, bytes: number): boolean
  /** Such a file under a new name, to be written to from its start and not beyond its end. */
  openAllocated(path: string, as: string): Segment
  /** Gives back what a file takes beyond so many bytes. */
  cutFile(path: string, bytes: number): void
  /** What can still be written below a folder. */
  freeBytes(folder: string): Promise<number>
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

/** So many files settle at a time: Node has four threads for this in the whole process, and nobody waits for it. */
const parallelSyncs = 2

const allocatedAtOnce = 1024 * 1024

/** What `stat` counts blocks in, whatever the file system's are. */
const statBlockBytes = 512

const fsync = promisify(fsyncCallback)

export function createDisk(): Disk {
  const knownFolders = new Set<string>()

  return {
    async makeFolder(path) {
      const outermost = await mkdir(path, { recursive: true, mode: 0o755 })
      for (let made = path; outermost !== undefined; made = dirname(made)) {
        await syncFolder(dirname(made))
        if (made === outermost || made === dirname(made)) break
      }
      knownFolders.add(path)
    },

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

    writeFile({ path, bytes }) {
      const folder = dirname(path)
      if (!knownFolders.has(folder)) mkdirSync(folder, { recursive: true, mode: 0o755 })
      knownFolders.add(folder)
      const file = openSync(path, 'w', 0o644)
      try {
        writeAll(file, bytes)
      } finally {
        closeSync(file)
      }
    },

    async settleFiles(folder, paths) {
      const queue = paths.values()
      const work = async (): Promise<void> => {
        for (const path of queue) await syncFile(path)
      }
      await Promise.all(Array.from({ length: parallelSyncs }, work))
      for (const between of foldersBetween(folder, paths)) await syncFolder(between)
    },

    async replaceFile({ path, bytes }) {
      const file = openSync(`${path}.new`, 'w', 0o644)
      try {
        writeAll(file, bytes)
        await fsync(file)
      } finally {
        closeSync(file)
      }
      await rename(`${path}.new`, path)
      await syncFolder(dirname(path))
    },

    async allocate(path, bytes) {
      const file = await open(`${path}.new`, 'w', 0o600)
      const piece = Buffer.alloc(allocatedAtOnce, unusedByte)
      try {
        for (let left = bytes; left > 0; left -= piece.length) await file.write(piece, 0, Math.min(left, piece.length))
      } catch (error) {
        await file.truncate()
        throw error
      } finally {
        await file.close()
      }
      await rename(`${path}.new`, path)
    },

    isAllocated(path, bytes) {
      const { size, blocks } = statSync(path, { throwIfNoEntry: false }) ?? { size: 0, blocks: 0 }
      return size === bytes && blocks * statBlockBytes >= bytes // a crash may have left holes
    },

    openAllocated(path, as) {
      const file = openSync(path, 'r+')
      const { size } = fstatSync(file)
      renameSync(path, as)
      syncFolderNow(dirname(as))
      let at = 0
      return {
        append(bytes) {
          if (at + bytes.length > size) throw Object.assign(new Error('the reserve is spent'), { code: 'ENOSPC' })
          for (let written = 0; written < bytes.length;)
            written += writeSync(file, bytes, written, undefined, at + written)
          at += bytes.length
          fdatasyncSync(file)
        },
        close() {
          try {
            ftruncateSync(file, at) // others can have what was not needed
          } finally {
            closeSync(file)
          }
        },
      }
    },

    cutFile: (path, bytes) => truncateSync(path, bytes),

    async freeBytes(folder) {
      const { bavail, bsize } = await statfs(folder)
      return bavail * bsize
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

function writeAll(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written)
}

/** Only the sync is worth waiting for elsewhere: the rest takes less time than handing it to another thread. */
async function syncFile(path: string): Promise<void> {
  const file = openSync(path, 'r')
  try {
    await fsync(file)
  } finally {
    closeSync(file)
  }
}

/** The folders that hold the paths, and theirs, up to the one that all are below. */
function foldersBetween(top: string, paths: readonly string[]): ReadonlySet<string> {
  const folders = new Set<string>()
  for (const path of paths) {
    for (let folder = dirname(path); !folders.has(folder); folder = dirname(folder)) {
      folders.add(folder)
      if (folder === top || folder === dirname(folder)) break
    }
  }
  return folders
}
