import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { Enrollment } from '#enrollment'
import { type RunningSwtpm, startSwtpm } from '#simulators'
import { type EkTemplateName, openTpm, type Tpm } from '#tpm'
import { decodePem } from '#x509'
import { needs } from '../needs.js'
import { createEnrollmentWorld, joinWithTpm, makeToken, openDevice, refusals } from './world.js'

const options = needs('swtpm', 'swtpm_setup', 'tpm2_nvdefine')
const folder = mkdtempSync(join(tmpdir(), 'touchmark-swtpm-'))
let swtpm: RunningSwtpm | undefined
let tpm: Tpm | undefined

before(async () => {
  if (options.skip) return
  swtpm = await startSwtpm({ folder, ek: 'with-p256' })
  tpm = await openTpm(swtpm.spec)
})

after(async () => {
  await tpm?.close()
  await swtpm?.stop()
  rmSync(folder, { recursive: true })
})

for (const template of ['rsa-2048', 'ecc-p256', 'ecc-p384'] satisfies readonly EkTemplateName[]) {
  test(`swtpm joins with its EK of ${template}, vouched for by its own maker`, options, async (t) => {
    assert.ok(swtpm && tpm)
    const world = await createEnrollmentWorld(t, { at: Date.now() })
    const [roots, intermediates] = [swtpm.ekRoots, swtpm.ekIntermediates].map((pems) =>
      pems.flatMap((pem) => decodePem(pem, 'CERTIFICATE')),
    )
    const maker = { id: 'swtpm', roots: roots ?? [], intermediates: intermediates ?? [] }
    const enrollment = new Enrollment({ ...world.options, ekMakers: [maker] })
    const { text } = await makeToken(world)
    const device = await openDevice(tpm, template)
    const answer = await joinWithTpm({ ...world, enrollment }, device, text)
    assert.equal(answer.deviceId, `tpm-${device.ekHash.slice(0, 12)}`)

    const foreign = new Enrollment({ ...world.options, ekMakers: [{ ...maker, roots: [] }] })
    await assert.rejects(joinWithTpm({ ...world, enrollment: foreign }, device), { code: 'EK_MAKER_UNKNOWN' })
    assert.deepEqual(refusals(world), ['EK_MAKER_UNKNOWN'])
    foreign.close()
    enrollment.close()
  })
}
