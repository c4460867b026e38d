import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A folder of the test's own, gone when the test has ended. */
export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-agent-'))
  context.after(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}
