import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { Enrollment } from '#enrollment'
import { type RunningSwtpm, startSwtpm } from '#simulators'
import { type EkTemplateName, openTpm, type Tpm } from '#tpm'
import { decodePem } from '#x509'
import { needs } from '../needs.js'
import { by } from '../registry/world.js'
import {
  createEnrollmentWorld,
  derOf,
  joinWithTpm,
  makeToken,
  newChannel,
  openDevice,
  refusals,
  renewalOf,
} from './world.js'

const options = needs('swtpm', 'swtpm_setup', 'tpm2_nvdefine', 'tpm2_clear')
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
    const maker = makerOf(swtpm)
    const enrollment = new Enrollment({ ...world.options, ekMakers: [maker] })
    const { text } = await makeToken(world)
    const device = await openDevice(tpm, template)
    const answer = await joinWithTpm({ ...world, enrollment }, device, text)
    assert.equal(answer.deviceId, `tpm-${device.ekHash.slice(0, 12)}`)

    const foreign = new Enrollment({ ...world.options, ekMakers: [{ ...maker, roots: [] }] })
    await assert.rejects(joinWithTpm({ ...world, enrollment: foreign }, device), { code: 'EK_MAKER_UNKNOWN' })
    assert.deepEqual(refusals(world), ['EK_MAKER_UNKNOWN'])
    await foreign.close()
    await enrollment.close()
  })
}

test(
  'case 88: a TPM that was cleared renews nothing, and joins anew as the device that it was, when an operator says so',
  options,
  async (t) => {
    const own = await startSwtpm({ folder: mkdtempSync(join(folder, 'cleared-')) })
    t.after(() => own.stop())
    const world = await createEnrollmentWorld(t, { at: Date.now() })
    const enrollment = new Enrollment({ ...world.options, ekMakers: [makerOf(own)] })
    t.after(() => enrollment.close())
    const powered = { ...world, enrollment }
    const { text } = await makeToken(world)

    const before = await openTpm(own.spec)
    const answer = await joinWithTpm(powered, await openDevice(before, 'ecc-p384'), text)
    await before.close()
    execFileSync('tpm2_clear', ['-c', 'p'], { env: { ...process.env, TPM2TOOLS_TCTI: own.tcti } })
    const after = await openTpm(own.spec)
    t.after(() => after.close())
    const device = await openDevice(after, 'ecc-p384')
    const channel = newChannel()
    const renewal = await renewalOf(device, { channel: channel.exporter })
    await assert.rejects(enrollment.renew(derOf(answer), renewal, channel), { code: 'TPM_HISTORY_BROKEN' })

    await assert.rejects(joinWithTpm(powered, device), { code: 'APPROVAL_PENDING' })
    await world.approvals.approve(device.ekHash, {}, by)
    const again = await joinWithTpm(powered, device)
    assert.equal(again.deviceId, answer.deviceId)
    assert.notEqual(again.instanceId, answer.instanceId)
  },
)

function makerOf({ ekRoots, ekIntermediates }: RunningSwtpm) {
  const der = (pems: readonly string[]) => pems.flatMap((pem) => decodePem(pem, 'CERTIFICATE'))
  return { id: 'swtpm', roots: der(ekRoots), intermediates: der(ekIntermediates) }
}
