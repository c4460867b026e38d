import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { decodeJoinAnswer, encodeBase64url, routes } from '#protocol'
import { startSwtpm } from '#simulators'
import { openTpm } from '#tpm'
import { createCsr } from '#x509'
import type { JoinMethod } from '../../device-agent/enroll.js'
import { TpmKey } from '../../device-agent/tpm-key.js'
import { needs } from '../needs.js'
import { type DeviceOptions, enrolledDevice } from './enrolled-device.js'
import { temporaryFolder } from './temporary-folder.js'
import { startTpmBetween, type Trouble } from './tpm-between.js'

const options = { ...needs('swtpm', 'swtpm_setup'), timeout: 60_000 }

/** What the agent says when it cannot connect with its key. */
const refusals: readonly (readonly [trouble: Trouble, said: RegExp])[] = [
  ['unplugged', /the TPM did not sign: /],
  ['lockout', /the TPM did not sign: .*LOCKOUT/],
  ['failure mode', /the TPM did not sign: .*FAILURE/],
]

for (const [trouble, said] of refusals) {
  test(
    `a TPM that is ${trouble} keeps the device offline until it is well again, and no longer`,
    options,
    async (t) => {
      const device = await residentDevice(t)
      const agent = device.run()
      await agent.event('connected')
      device.tpm.become(trouble)
      device.broker.connects[0]?.socket.destroy()
      const { message } = await agent.event('disconnected', ({ error }) => error === 'KEY_UNAVAILABLE')
      assert.match(String(message), said)
      device.tpm.become('none')
      await agent.event('connected')
      await agent.stop()
    },
  )
}

test('a slow TPM only takes longer', options, async (t) => {
  const device = await residentDevice(t)
  device.tpm.become('slow')
  const agent = device.run()
  await agent.event('connected')
  await agent.stop()
})

test('a TPM that answers no more does not keep the agent from stopping', options, async (t) => {
  const device = await residentDevice(t)
  const agent = device.run()
  await agent.event('connected')
  device.tpm.become('silent')
  device.broker.connects[0]?.socket.destroy()
  await agent.event('disconnected')
  while (device.tpm.commands() === 0) await new Promise((resolve) => setImmediate(resolve))
  await agent.stop()
})

test('a renewal that the TPM fails leaves the connection alone, and nothing half done', options, async (t) => {
  const device = await residentDevice(t, { renewal: 'now', rotateKey: 'always' })
  device.tpm.become('slow')
  const agent = device.run()
  await agent.event('connected')
  device.tpm.become('lockout')
  const { error } = await agent.event('not renewed')
  assert.equal(error, 'TPM_IN_LOCKOUT')
  assert.equal(device.broker.connects.length, 1)
  await agent.stop()
})

test(
  'renews with a fresh key of its TPM, and lets go of the old one when the new one has connected',
  options,
  async (t) => {
    const device = await residentDevice(t, { renewal: 'now', rotateKey: 'always' })
    const agent = device.run()
    await agent.event('renewed')
    await agent.event('connected', ({ generation }) => generation === 2)
    const [before, after] = device.broker.connects.map(({ certificate }) =>
      String(certificate.publicKey.export({ format: 'jwk' }).x),
    )
    assert.notEqual(before, after)
    const renewal = device.service.requests.find(({ path }) => path === routes.renew.path)
    assert.deepEqual(Object.keys(Object(renewal?.body)).sort(), ['akPublic', 'binding', 'certify', 'csr', 'keyPublic'])
    await agent.stop()
    assert.deepEqual(readdirSync(join(device.folder, 'generations')), ['2'])
  },
)

test('two agents share one TPM that lets in one user at a time', options, async (t) => {
  const tpm = await startTpm(t)
  const devices = await Promise.all([1, 2].map(() => residentDevice(t, {}, tpm.spec)))
  const agents = devices.map((device) => device.run())
  await Promise.all(agents.map((agent) => agent.event('connected')))
  for (const { broker } of devices) broker.connects[0]?.socket.destroy()
  await Promise.all(agents.map((agent) => agent.event('connected')))
  await Promise.all(agents.map((agent) => agent.stop()))
})

/** A device whose key is in a software TPM, with something between the two that can make trouble. */
async function residentDevice(t: TestContext, over: DeviceOptions = {}, shared?: string) {
  const tpm = await startTpmBetween(t, shared ?? (await startTpm(t)).spec)
  const device = await enrolledDevice(t, { ...over, method: residentJoin(tpm.spec), openTpm: (spec) => openTpm(spec) })
  return { ...device, tpm }
}

async function startTpm(t: TestContext) {
  let stop: () => Promise<void> = () => Promise.resolve()
  t.after(() => stop()) // before its folder goes
  const swtpm = await startSwtpm({ folder: temporaryFolder(t) })
  stop = () => swtpm.stop()
  return swtpm
}

/** As by token, with a key in the TPM: the service that answers here believes everybody. */
function residentJoin(spec: string): JoinMethod {
  return {
    isUsable: () => Promise.resolve(false),
    createKey: async () => {
      const tpm = await openTpm(spec)
      const stored = await tpm.createSigningKey()
      await tpm.close()
      return { kind: 'tpm', tpm: spec, stored, proof: { binding: 'exporter', pcrs: [] } }
    },
    prepare: async (file) => {
      assert.equal(file.kind, 'tpm')
      const tpm = await openTpm(spec)
      const key = await TpmKey.load(tpm, file.stored)
      const csr = await createCsr({ spki: key.spki, sign: (data) => key.sign(data) })
      await tpm.close()
      const body = { profile: 'default', csr: encodeBase64url(csr), reported: {} }
      return { key, ask: (service) => service.send(routes.joinToken, decodeJoinAnswer, body, 'tm1.id.secret') }
    },
  }
}
