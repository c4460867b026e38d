import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { createEkAuthority, openSoftwareTpm, SimulatorError, type SoftwareTpmOptions } from '#simulators'
import { decodeAttest, type Tpm } from '#tpm'
import { verifyPath, X509Error } from '#x509'
import { testTpm } from '../../tpm/contract.js'

const start = Date.UTC(2026, 0, 1)
const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))
const templates = ['ecc-p384', 'ecc-p256', 'rsa-3072', 'rsa-2048'] as const
let tpms: readonly Tpm[] = []

before(async () => {
  const ekAuthority = await createEkAuthority({ folder: join(folder, 'authority'), now: () => start })
  const open = (name: string): Promise<Tpm> =>
    openSoftwareTpm({ folder: join(folder, name), templates, ekAuthority, now: () => start })
  tpms = await Promise.all([open('one'), open('other')])
})

after(async () => {
  await Promise.all(tpms.map((tpm) => tpm.close()))
  rmSync(folder, { recursive: true })
})

testTpm('software TPM', {}, () => {
  const [tpm, foreign] = tpms
  assert.ok(tpm && foreign)
  return { tpm, foreign, templates }
})

test('an EK certificate leads to the root of its authority as an EK, and to no other root', async () => {
  const authority = await createEkAuthority({ folder: join(folder, 'authority'), now: () => start })
  const foreign = await createEkAuthority({ folder: join(folder, 'foreign-authority'), now: () => start })
  for (const template of templates) {
    const [leaf] = (await tpms[0]?.endorsementKey(template))?.certificates ?? []
    assert.ok(leaf)
    const request = { leaf, intermediates: [], at: new Date(start), purpose: 'ek' } as const
    assert.equal(verifyPath({ ...request, anchors: [authority.root] }).path.length, 2)
    assert.throws(() => verifyPath({ ...request, anchors: [foreign.root] }), X509Error)
    assert.match(String(new X509Certificate(leaf).subjectAltName), /DirName/)
  }
})

test('after a reset, the same EK, AK and stored keys are there, and only the reset count has grown', async () => {
  const options = await optionsFor('reset')
  const first = await openSoftwareTpm(options)
  const before = { ek: await first.endorsementKey('ecc-p256'), ak: await first.attestationKey() }
  const stored = await first.createSigningKey()
  const attested = await attestedClock(first)
  await first.close()

  const second = await openSoftwareTpm({ folder: options.folder, now: options.now })
  assert.deepEqual((await second.endorsementKey('ecc-p256')).certificates, before.ek.certificates)
  assert.deepEqual((await second.endorsementKey('ecc-p256')).public, before.ek.public)
  assert.deepEqual((await second.attestationKey()).public, before.ak.public)
  assert.deepEqual((await second.loadSigningKey(stored)).public, stored.public)
  assert.deepEqual(await attestedClock(second), { ...attested, resetCount: attested.resetCount + 1 })
  await second.close()
})

test('the clock counts powered time, and is not safe after a power cut', async () => {
  let now = start
  const options = { ...(await optionsFor('clock')), now: () => now }
  const first = await openSoftwareTpm(options)
  now += 1500
  assert.deepEqual(await attestedClock(first), { clock: 1500, resetCount: 1, restartCount: 0, safe: true })
  await first.close()
  now += 60_000 // without power
  const second = await openSoftwareTpm(options)
  now += 10
  assert.deepEqual(await attestedClock(second), { clock: 1510, resetCount: 2, restartCount: 0, safe: true })
  const afterPowerCut = await openSoftwareTpm(options)
  assert.deepEqual(await attestedClock(afterPowerCut), { clock: 1500, resetCount: 3, restartCount: 0, safe: false })
})

test('an EK that was not ordered at first exists without a certificate, and stays the same', async () => {
  const options = await optionsFor('uncertified')
  const first = await openSoftwareTpm(options)
  const ek = await first.endorsementKey('ecc-p384')
  assert.deepEqual(ek.certificates, [])
  assert.deepEqual(await first.endorsementKeyTemplates(), ['ecc-p256'])
  await first.close()
  const second = await openSoftwareTpm(options)
  assert.deepEqual((await second.endorsementKey('ecc-p384')).public, ek.public)
  await second.close()
})

test('the state file is for its owner only, and a file that is no state is refused', async () => {
  const options = await optionsFor('file')
  await (await openSoftwareTpm(options)).close()
  const file = join(options.folder, 'software-tpm.json')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  writeFileSync(file, '{"clock": 1}')
  await assert.rejects(
    openSoftwareTpm(options),
    (error) => error instanceof SimulatorError && error.code === 'STATE_INVALID',
  )
})

async function optionsFor(name: string): Promise<SoftwareTpmOptions> {
  const ekAuthority = await createEkAuthority({ folder: join(folder, 'authority'), now: () => start })
  return { folder: join(folder, name), ekAuthority, now: () => start }
}

async function attestedClock(tpm: Tpm) {
  const { attest } = await tpm.quote(await tpm.attestationKey(), new Uint8Array(0), [0])
  return decodeAttest(attest).clockInfo
}
