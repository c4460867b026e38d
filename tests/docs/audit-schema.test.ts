import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'

test('the schema of entries says what the page of events says', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-schema-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const written = join(folder, 'audit-entry.cddl')
  execFileSync(process.execPath, ['scripts/audit-schema.mjs', written])
  const [published, expected] = ['docs/audit-entry.cddl', written].map((path) => readFileSync(path, 'utf8'))
  assert.equal(published, expected, 'npm run schema writes it anew')
})
