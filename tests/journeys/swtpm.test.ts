import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { DeviceView, LockAnswer } from '#protocol'
import { type RunningSwtpm, startSwtpm } from '#simulators'
import type { EkTemplateName } from '#tpm'
import { mustRun } from '../../demo/programs.js'
import type { StageDevice } from '../../demo/stage.js'
import { needs } from '../needs.js'
import { emptyStage, filesOf, makeRenewalDue, searchAudit } from './world.js'

const options = needs('swtpm', 'swtpm_setup', 'tpm2_nvdefine')

for (const template of ['rsa-2048', 'rsa-3072', 'ecc-p256', 'ecc-p384'] as const) {
  const name = `a swtpm joins by the certificate of its ${template} endorsement key, talks with a key that stays in it, and renews it`
  test(name, options, async (t) => {
    const { stage, swtpm } = await openWorld(t, template)
    const device = stage.device('chip-1')
    const ekHash = await endorsementKeyOf(swtpm, template)
    await stage.operator('devices', 'register', 'chip-1', '--ek-hash', ekHash)
    await device.does('enroll', '--join', stage.joinUri, '--tpm', swtpm.spec, '--ek', template)
    await device.does('publish', 'devices/chip-1/telemetry/t', 'from the chip')

    const [joined] = await searchAudit(stage, '--event', 'device.enroll')
    assert.deepEqual([joined?.tier, joined?.anchorHash, joined?.binding], ['tpm', ekHash, 'exporter'])
    const [published] = await searchAudit(stage, '--event', 'message.publish')
    assert.deepEqual([published?.device, published?.decision], ['chip-1', 'allow'])

    const { cert } = filesOf(device)
    const firstCertificate = readFileSync(cert, 'utf8')
    await makeRenewalDue(device)
    const running = device.starts('run')
    await running.line((line) => line.includes(' connected ') && line.includes('generation=2'))
    await running.stop()
    await device.does('publish', 'devices/chip-1/telemetry/t', 'renewed')
    assert.notEqual(readFileSync(cert, 'utf8'), firstCertificate)
    const [renewed] = await searchAudit(stage, '--event', 'device.renew')
    assert.deepEqual([renewed?.device, renewed?.tier], ['chip-1', 'tpm'])
    assert.equal((await searchAudit(stage, '--event', 'message.publish')).length, 2)
    assert.deepEqual(filesWithAPrivateKey(device.data), [])
  })
}

test('a swtpm whose maker nobody here trusts is refused, registered or not', options, async (t) => {
  const { stage } = await openWorld(t)
  const foreign = await startChip(t, join(stage.folder, 'foreign'))
  for (const template of ['rsa-2048', 'ecc-p384'] as const) {
    const device = stage.device(`chip-${template}`)
    const enroll = ['--join', stage.joinUri, '--tpm', foreign.spec, '--ek', template]
    const before = await device.tries('enroll', ...enroll)
    assert.equal(before.exitCode, 4, before.stderr)
    const ekHash = await endorsementKeyOf(foreign, template)
    await stage.operator('devices', 'register', `chip-${template}`, '--ek-hash', ekHash)
    const after = await device.tries('enroll', ...enroll)
    assert.equal(after.exitCode, 4, after.stderr)
    assert.equal(after.stderr, before.stderr) // which keys are known is nothing for strangers
  }
  assert.deepEqual(await searchAudit(stage, '--event', 'device.enroll'), [])
  const [refused] = await searchAudit(stage, '--event', 'join.refuse')
  assert.deepEqual([refused?.method, refused?.reason], ['tpm', 'EK_MAKER_UNKNOWN'])
})

test(
  'case 89: a locked TPM joins as nobody: the log names the lock, the stranger learns nothing, and removing it opens',
  options,
  async (t) => {
    const { stage, swtpm } = await openWorld(t)
    await stage.operator('devices', 'register', 'chip-1', '--ek-hash', await endorsementKeyOf(swtpm))
    const enroll = ['enroll', '--join', stage.joinUri, '--tpm', swtpm.spec] as const
    await stage.device('chip-1').does(...enroll)
    const { instances } = await stage.ask<DeviceView>('devices', 'show', 'chip-1')
    const order = ['locks', 'add', '--instance', instances[0]?.id ?? '', '--reason', 'the box was found open'] as const
    const { lock } = await stage.ask<LockAnswer>(...order)

    const again = stage.device('chip-again') // the same chip, in a machine that has forgotten all else
    const { exitCode, stderr } = await again.tries(...enroll)
    assert.equal(exitCode, 4, stderr)
    assert.ok(lock && !stderr.includes(lock.id) && !/lock/i.test(stderr), stderr)
    const [refused] = await searchAudit(stage, '--event', 'join.refuse')
    assert.deepEqual([refused?.reason, refused?.lock], ['LOCKED', lock.id])
    assert.equal((await searchAudit(stage, '--event', 'device.enroll')).length, 1)

    await stage.operator('locks', 'rm', lock.id, '--comment', 'it was the cleaner')
    await again.does(...enroll)
  },
)

test('a device with a TPM renews with the key it has', options, async (t) => {
  const { stage, swtpm } = await openWorld(t)
  const device = stage.device('chip-1')
  await stage.operator('devices', 'register', 'chip-1', '--ek-hash', await endorsementKeyOf(swtpm))
  await device.does('enroll', '--join', stage.joinUri, '--tpm', swtpm.spec)
  const { cert } = filesOf(device)
  const [firstCertificate, key] = [readFileSync(cert, 'utf8'), readFileSync(keyOf(device), 'utf8')]

  await makeRenewalDue(device)
  const running = device.starts('run')
  await running.line((line) => line.includes(' renewed '))
  await running.line((line) => line.includes(' connected ') && line.includes('generation=2'))
  await running.stop()
  assert.notEqual(readFileSync(cert, 'utf8'), firstCertificate)
  assert.equal(readFileSync(keyOf(device), 'utf8'), key)
  const [joined] = await searchAudit(stage, '--event', 'device.enroll')
  const [renewed] = await searchAudit(stage, '--event', 'device.renew')
  assert.equal(renewed?.spkiHash, joined?.spkiHash)
  assert.deepEqual([renewed?.tier, renewed?.binding, renewed?.akName], ['tpm', 'exporter', joined?.akName])
})

test('or with a fresh key of the same TPM, which others on the device go on using beside it', options, async (t) => {
  const { stage, swtpm } = await openWorld(t)
  const device = stage.device('chip-1')
  await stage.operator('devices', 'register', 'chip-1', '--ek-hash', await endorsementKeyOf(swtpm))
  await device.does('enroll', '--join', stage.joinUri, '--tpm', swtpm.spec)
  const before = readFileSync(keyOf(device), 'utf8')

  await makeRenewalDue(device)
  const running = device.starts('run', '--rotate-key', 'always')
  await running.line((line) => line.includes(' connected ') && line.includes('generation=2'))
  await device.does('publish', 'devices/chip-1/telemetry/t', 'while the agent runs')
  await running.stop()
  assert.notEqual(readFileSync(keyOf(device), 'utf8'), before)
  assert.deepEqual(readdirSync(join(device.data, 'generations')), ['2'])
  const [joined] = await searchAudit(stage, '--event', 'device.enroll')
  const [renewed] = await searchAudit(stage, '--event', 'device.renew')
  assert.notEqual(renewed?.spkiHash, joined?.spkiHash)
  assert.deepEqual([renewed?.tier, renewed?.akName], ['tpm', joined?.akName])
  assert.deepEqual(filesWithAPrivateKey(device.data), [])
})

test(
  'a device whose TPM evidence is bound by a nonce renews with one, and is told apart on record',
  options,
  async (t) => {
    const { stage, swtpm } = await openWorld(t)
    const device = stage.device('chip-1')
    await stage.operator('devices', 'register', 'chip-1', '--ek-hash', await endorsementKeyOf(swtpm))
    await device.does('enroll', '--join', stage.joinUri, '--tpm', swtpm.spec, '--binding', 'nonce')
    await makeRenewalDue(device)
    const running = device.starts('run')
    await running.line((line) => line.includes(' connected ') && line.includes('generation=2'))
    await running.stop()
    for (const event of ['device.enroll', 'device.renew']) {
      const [record] = await searchAudit(stage, '--event', event)
      assert.deepEqual([record?.device, record?.tier, record?.binding], ['chip-1', 'tpm', 'nonce'], event)
    }
  },
)

/** A service that trusts the maker of one swtpm, and that swtpm. */
async function openWorld(t: TestContext, template?: EkTemplateName) {
  const stage = emptyStage(t)
  const swtpm = await startChip(t, join(stage.folder, 'chip'), template)
  const makers = join(stage.folder, 'makers.pem')
  await writeFile(makers, [...swtpm.ekRoots, ...swtpm.ekIntermediates].join('\n'))
  await stage.openService({ ekRootFiles: [makers] })
  return { stage, swtpm }
}

async function startChip(t: TestContext, folder: string, template?: EkTemplateName): Promise<RunningSwtpm> {
  const ek = template === 'ecc-p256' ? 'with-p256' : template === 'rsa-3072' ? 'rsa-3072' : 'standard'
  const swtpm = await startSwtpm({ folder, ek })
  t.after(() => swtpm.stop())
  return swtpm
}

async function endorsementKeyOf({ spec }: RunningSwtpm, template?: string): Promise<string> {
  const chosen = template === undefined ? [] : ['--ek', template]
  const answer = await mustRun('touchmark-agent', ['ek', '--tpm', spec, ...chosen, '-o', 'json'])
  const { ekHash } = JSON.parse(answer) as { ekHash: string }
  return ekHash
}

function keyOf(device: StageDevice): string {
  return join(device.data, 'current', 'key.tpm')
}

function filesWithAPrivateKey(folder: string): readonly string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name))
  return files.filter((file) => statSync(file).isFile() && /PRIVATE KEY/.test(readFileSync(file, 'latin1')))
}
