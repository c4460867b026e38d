import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/* A disk that a test can fill: a small file system in memory, under a folder. */

export function asRoot(): { skip?: string } {
  return process.getuid?.() === 0 ? {} : { skip: 'needs root, to mount a small disk' }
}

/** Makes the folder. What comes back takes the disk away again, at the latest when nobody uses it any more. */
export function mountSmallDisk(folder: string, mebibytes: number): () => void {
  mkdirSync(folder)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'tmpfs', folder])
  return () => {
    execFileSync('umount', ['--lazy', folder])
  }
}

/** But for what a few records need. */
export function fillDisk(folder: string, leave = 64 * 1024): void {
  const { bavail, bsize } = statfsSync(folder)
  writeFileSync(join(folder, `${leave}.filler`), Buffer.alloc(Math.max(bavail * bsize - leave, 0)))
}

export function removeFillers(folder: string): void {
  for (const name of readdirSync(folder)) if (name.endsWith('.filler')) rmSync(join(folder, name))
}
