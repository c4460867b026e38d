import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { needs } from '../needs.js'

const demo = fileURLToPath(new URL('../../demo/main.js', import.meta.url))
const run = promisify(execFile)

test('the demo tells its whole story with a TPM made of software', async () => {
  const { stdout } = await run(process.execPath, [demo, '--tpm', 'software'])
  assert.match(stdout, /a TPM made of software/)
  assert.match(stdout, /All of it held/)
})

test('the demo tells its whole story with swtpm', needs('swtpm', 'swtpm_setup'), async () => {
  const { stdout } = await run(process.execPath, [demo, '--tpm', 'swtpm'])
  assert.match(stdout, /a process of its own/)
  assert.match(stdout, /All of it held/)
})

test('the demo says what it takes when it is asked for something else', async () => {
  const refused = await run(process.execPath, [demo, '--tpm', 'none']).catch((error: unknown) => error)
  assert.ok(refused instanceof Error && 'code' in refused && 'stderr' in refused)
  assert.equal(refused.code, 2)
  assert.match(String(refused.stderr), /--keep/)
})
