import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Enrollment } from '#enrollment'
import { type RunningSwtpm, startSwtpm, type SwtpmOptions } from '#simulators'
import { decodePublic, openTpm, toSpki } from '#tpm'
import { decodePem } from '#x509'
import { needs } from '../needs.js'
import { createEnrollmentWorld, joinWithTpm, makeToken, openDevice } from './world.js'

/*
 * Certificates in the NV of a chip as makers leave them there, and the joins that they lead to.
 */

const options = needs('swtpm', 'swtpm_setup', 'tpm2_nvdefine', 'tpm2_nvwrite', 'tpm2_nvundefine')

test(
  'a chain in NV, wrapped, padded and over two indices, leads to a root where nobody here holds what is between',
  options,
  async (t) => {
    const chip = await startChip(t, 'with-p256')
    const [root, issuer] = [chip.ekRoots, chip.ekIntermediates].map(([pem = '']) => decodePem(pem, 'CERTIFICATE')[0])
    assert.ok(root && issuer)
    const wrapped = Buffer.concat([storedCertificateHeader(issuer), issuer, Buffer.alloc(40, 0xff)])
    writeNv(chip, '0x01c00101', wrapped.subarray(500))
    writeNv(chip, '0x01c00100', wrapped.subarray(0, 500))

    const world = await createEnrollmentWorld(t, { at: Date.now() })
    const ekMakers = [{ id: 'swtpm', roots: [root], intermediates: [] }]
    const enrollment = new Enrollment({ ...world.options, ekMakers })
    t.after(() => enrollment.close())
    const device = await openDevice(await openChip(t, chip), 'ecc-p256')
    const [own = assert.fail(), ...chain] = device.ek.certificates
    assert.deepEqual(chain, [issuer])
    const alone = { ...device, ek: { ...device.ek, certificates: [own] } }
    await assert.rejects(joinWithTpm({ ...world, enrollment }, alone), { code: 'EK_MAKER_UNKNOWN' })
    const { text } = await makeToken(world)
    assert.match((await joinWithTpm({ ...world, enrollment }, device, text)).deviceId, /^tpm-/)
  },
)

for (const [template, high, low] of [
  ['rsa-2048', '0x01c00012', '0x01c00002'],
  ['ecc-p256', '0x01c00014', undefined],
] as const) {
  test(`a ${template} key of the high range, whose certificate lies at ${high}, joins`, options, async (t) => {
    const chip = await startChip(t)
    const world = await createEnrollmentWorld(t)
    if (low !== undefined) forgetNv(chip, low)
    writeNv(chip, high, new Uint8Array(8)) // that there is one tells the template; which it is can only follow
    const blank = await openTpm(chip.spec)
    const area = decodePublic((await blank.endorsementKey(template)).public)
    await blank.close()
    assert.ok(area.attributes.userWithAuth)
    forgetNv(chip, high)
    writeNv(chip, high, await world.ekAuthority.issue(toSpki(area)))

    const device = await openDevice(await openChip(t, chip), template)
    assert.equal(device.ek.certificates.length, 1)
    const { text } = await makeToken(world)
    assert.match((await joinWithTpm(world, device, text)).deviceId, /^tpm-/)
  })
}

async function startChip(t: TestContext, ek: SwtpmOptions['ek'] = 'standard'): Promise<RunningSwtpm> {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-swtpm-'))
  const chip = await startSwtpm({ folder, ek })
  t.after(async () => {
    await chip.stop()
    rmSync(folder, { recursive: true })
  })
  return chip
}

async function openChip(t: TestContext, { spec }: RunningSwtpm) {
  const tpm = await openTpm(spec)
  t.after(() => tpm.close())
  return tpm
}

/** As TPM 1.2 wrapped a full certificate: tag, type, size, tag. */
function storedCertificateHeader({ length }: Uint8Array): Uint8Array {
  return Buffer.from(`100100${(length + 2).toString(16).padStart(4, '0')}1002`, 'hex')
}

/** As a maker would, before the machine is sold. */
function writeNv(chip: RunningSwtpm, index: string, contents: Uint8Array): void {
  const attributes = 'ppwrite|ppread|ownerread|authread|no_da|platformcreate|writedefine'
  run(chip, 'tpm2_nvdefine', ['-s', `${contents.length}`, '-a', attributes, index])
  run(chip, 'tpm2_nvwrite', ['-i', '-', index], contents)
}

function forgetNv(chip: RunningSwtpm, index: string): void {
  run(chip, 'tpm2_nvundefine', [index])
}

function run({ tcti }: RunningSwtpm, program: string, args: readonly string[], input: Uint8Array = Buffer.of()): void {
  const env = { ...process.env, TPM2TOOLS_TCTI: tcti }
  execFileSync(program, ['-Q', '-C', 'p', ...args], { env, input, stdio: ['pipe', 'ignore', 'pipe'] })
}
