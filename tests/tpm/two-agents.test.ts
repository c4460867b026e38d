import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { startSwtpm } from '#simulators'
import { openTpm } from '#tpm'
import { needs } from '../needs.js'
import { hasCode } from './samples.js'

const options = needs('swtpm', 'swtpm_setup')
const digest = createHash('sha256').update('to be signed').digest()

test('of two agents on one TPM the second waits for the first, and gives up in time', options, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))
  const swtpm = await startSwtpm({ folder: join(folder, 'tpm') })
  context.after(async () => {
    await swtpm.stop()
    rmSync(folder, { recursive: true })
  })
  const first = await openTpm(swtpm.spec)
  const ours = await first.attestationKey()

  const hasty = await openTpm(swtpm.spec, { timeoutMs: 50 })
  await assert.rejects(hasty.attestationKey(), hasCode('TPM_TIMEOUT'))
  await hasty.close()

  const second = await openTpm(swtpm.spec)
  const waiting = second.attestationKey()
  const key = await first.loadSigningKey(await first.createSigningKey())
  assert.ok((await first.sign(key, digest)).length > 0)
  await first.close()
  assert.deepEqual((await waiting).public, ours.public)
  await second.close()
})
