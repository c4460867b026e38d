import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { createDisk, type Disk } from '../../audit/writing/disk.js'

/** A real disk that knows what a power cut could take away; `onStep` hears of each moment at which one could come. */
export interface ForgetfulDisk extends Disk {
  onStep: () => void
  /** What a power cut at this moment could leave of a folder, as a folder of its own. */
  cutPower(folder: string, into: string, random: (below: number) => number): void
}

interface Removed {
  readonly path: string
  readonly bytes: Buffer
}

export function createForgetfulDisk(): ForgetfulDisk {
  const disk = createDisk()
  const unsettled = new Set<string>()
  /** Removed, and their folder was not synced since. */
  let removed: Removed[] = []
  const removedBundles: Removed[] = []

  const forgetful: ForgetfulDisk = {
    onStep: () => undefined,

    ...disk,

    openSegment(path) {
      const segment = disk.openSegment(path)
      removed = []
      forgetful.onStep()
      return {
        append(bytes) {
          segment.append(bytes)
          forgetful.onStep()
        },
        close: () => segment.close(),
      }
    },

    writeFile(file) {
      disk.writeFile(file)
      unsettled.add(file.path)
      forgetful.onStep()
    },

    async settleFiles(folder, paths) {
      await disk.settleFiles(folder, paths)
      for (const path of paths) {
        unsettled.delete(path)
        forgetful.onStep()
      }
    },

    async replaceFile(file) {
      await disk.replaceFile(file)
      forgetful.onStep()
    },

    async removeFile(path) {
      if (/entries(\/x\d{3})*\/\d{3}$/.test(path)) removedBundles.push({ path, bytes: readFileSync(path) })
      if (path.endsWith('.seg')) removed.push({ path, bytes: readFileSync(path) })
      unsettled.delete(path)
      await disk.removeFile(path)
      forgetful.onStep()
    },

    cutPower(folder, into, random) {
      const cut = (path: string) => join(into, relative(folder, path))
      cpSync(folder, into, { recursive: true })
      for (const path of unsettled) damage(cut(path), random)
      for (const list of [removed, removedBundles]) {
        const back = list.slice(random(list.length + 1))
        for (const { path, bytes } of back) {
          mkdirSync(dirname(cut(path)), { recursive: true })
          writeFileSync(cut(path), bytes)
        }
      }
    },
  }
  return forgetful
}

/** What was never synced may be whole, gone, empty, cut, or full of zeros. */
function damage(path: string, random: (below: number) => number): void {
  const bytes = readFileSync(path)
  switch (random(5)) {
    case 0:
      return
    case 1:
      return rmSync(path)
    case 2:
      return writeFileSync(path, '')
    case 3:
      return writeFileSync(path, bytes.subarray(0, random(bytes.length)))
    default:
      return writeFileSync(path, Buffer.alloc(bytes.length))
  }
}
