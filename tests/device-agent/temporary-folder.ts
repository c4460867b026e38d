import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { mountSmallDisk } from '../small-disk.js'

/** A folder of the test's own, gone when the test has ended. */
export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-agent-'))
  context.after(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

/** A small disk of the test's own that it can fill, gone with the test; for root only. */
export function temporaryDisk(context: TestContext, mebibytes: number): string {
  const parent = mkdtempSync(join(tmpdir(), 'touchmark-agent-'))
  const folder = join(parent, 'disk')
  const unmount = mountSmallDisk(folder, mebibytes)
  context.after(() => {
    unmount()
    rmSync(parent, { recursive: true, force: true })
  })
  return folder
}
