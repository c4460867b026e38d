import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { type RunningSwtpm, startSwtpm } from '#simulators'
import { openTpm, type Tpm } from '#tpm'
import { testTpm } from '../../tpm/contract.js'
import { needs } from '../needs.js'

const options = needs('swtpm', 'swtpm_setup', 'tpm2_nvdefine')
const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))
let swtpms: readonly RunningSwtpm[] = []
let tpms: readonly Tpm[] = []

before(async () => {
  if (options.skip) return
  swtpms = await Promise.all(
    ['one', 'other'].map((name) => startSwtpm({ folder: join(folder, name), ek: 'with-p256' })),
  )
  tpms = await Promise.all(swtpms.map(({ spec }) => openTpm(spec)))
})

after(async () => {
  await Promise.all(tpms.map((tpm) => tpm.close()))
  await Promise.all(swtpms.map((swtpm) => swtpm.stop()))
  rmSync(folder, { recursive: true })
})

testTpm('swtpm', options, () => {
  const [tpm, foreign] = tpms
  assert.ok(tpm && foreign)
  return { tpm, foreign, templates: ['ecc-p384', 'ecc-p256', 'rsa-2048'] }
})

test('swtpm: after closing, nothing is loaded and no session is open', options, async () => {
  const [swtpm] = swtpms
  assert.ok(swtpm)
  await tpms[0]?.close()
  for (const kind of ['handles-transient', 'handles-loaded-session', 'handles-saved-session']) {
    const listed: Buffer = execFileSync('tpm2_getcap', [kind], { env: { ...process.env, TPM2TOOLS_TCTI: swtpm.tcti } })
    assert.equal(listed.toString(), '', kind)
  }
})
