import { statSync, writeFileSync } from 'node:fs'
import { createDisk, type Disk, type Segment } from '../../audit/writing/disk.js'

/** A real disk with faults: writes that fail, when the test says so, and little room. */
export interface FaultyDisk extends Disk {
  /** How many bytes there is still room for. */
  free: number
  /** So many of the next appends fail, after some of their bytes were written, or all. */
  failing: number
  /** The reserve was made. */
  allocated: boolean
  /** Called with the paths of what is written. */
  onWrite: (path: string) => void
}

export function createFaultyDisk(random: (below: number) => number = () => 0): FaultyDisk {
  const disk = createDisk()

  const faulty: FaultyDisk = {
    ...disk,
    free: Infinity,
    failing: 0,
    allocated: false,
    onWrite: () => undefined,

    openSegment(path) {
      requireRoom(1)
      return withFaults(disk.openSegment(path), path, spend)
    },

    openAllocated: (path, as) => withFaults(disk.openAllocated(path, as), as, () => undefined),

    writeFile(file) {
      spend(file.bytes.length)
      faulty.onWrite(file.path)
      disk.writeFile(file)
    },

    async replaceFile(file) {
      requireRoom(file.bytes.length)
      await disk.replaceFile(file)
    },

    async allocate(path, bytes) {
      spend(bytes)
      await disk.allocate(path, bytes)
      faulty.allocated = true
    },

    cutFile(path, bytes) {
      faulty.free += statSync(path).size - bytes
      disk.cutFile(path, bytes)
    },

    freeBytes: () => Promise.resolve(faulty.free),
  }

  const withFaults = (segment: Segment, path: string, take: (bytes: number) => void): Segment => ({
    append(bytes) {
      if (faulty.failing > 0) {
        faulty.failing--
        writeFileSync(path, bytes.subarray(0, random(bytes.length + 1)), { flag: 'a' })
        throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' })
      }
      take(bytes.length)
      segment.append(bytes)
      faulty.onWrite(path)
    },
    close: () => segment.close(),
  })

  const requireRoom = (bytes: number): void => {
    if (bytes <= faulty.free) return
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  }

  const spend = (bytes: number): void => {
    requireRoom(bytes)
    faulty.free -= bytes
  }
  return faulty
}
