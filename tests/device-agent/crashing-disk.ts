import { type Disk, nodeDisk } from '../../device-agent/disk.js'

/** A disk that does so many changes, and then nothing more ever. */
export function crashingDisk(after: number): { disk: Disk; crashed: () => boolean } {
  let changes = 0
  const counted = async (change: () => Promise<void>): Promise<void> => {
    if (changes >= after) throw new Error('power cut')
    changes++
    await change()
    if (changes === after) throw new Error('power cut')
  }
  const disk: Disk = {
    ...nodeDisk,
    makeFolder: (path) => counted(() => nodeDisk.makeFolder(path)),
    write: (path, content, mode) => counted(() => nodeDisk.write(path, content, mode)),
    point: (link, target) => counted(() => nodeDisk.point(link, target)),
    remove: (path) => counted(() => nodeDisk.remove(path)),
  }
  return { disk, crashed: () => changes === after }
}
