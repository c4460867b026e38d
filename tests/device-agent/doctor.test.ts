import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { main } from '#device-agent'
import { createEkAuthority, openSoftwareTpm } from '#simulators'
import { TpmError } from '#tpm'
import type { Check } from '../../device-agent/doctor/check.js'
import { createTestCa } from './service-double.js'
import { ca, enrolledDevice } from './enrolled-device.js'
import { temporaryFolder } from './temporary-folder.js'

/** Runs `doctor` as a shell would, with one TPM in software at `chip` and none elsewhere. */
async function doctor(t: TestContext, ...args: readonly string[]) {
  const folder = temporaryFolder(t)
  const now = () => Date.now()
  const openTpm = async (spec: string) => {
    if (spec !== 'chip') throw new TpmError('TPM_UNREACHABLE', `cannot open ${spec}`)
    const ekAuthority = await createEkAuthority({ folder: join(folder, 'maker'), now })
    return openSoftwareTpm({ folder: join(folder, 'tpm'), ekAuthority, now })
  }
  const said: string[] = []
  const exitCode = await main(['doctor', '-o', 'json', ...args], {
    ...{ version: '0', environment: {}, home: folder, openTpm },
    out: (line) => said.push(line),
    err: () => undefined,
    readInput: () => Promise.resolve(''),
    readLines: async function* () {},
    stopped: new AbortController().signal,
  })
  const checks = JSON.parse(said.join('\n')) as readonly Check[]
  return { exitCode, checks, result: (name: string) => checks.find((check) => check.name === name)?.result }
}

test('doctor finds nothing wrong with a device that is well, and shows chip, addon, service and broker', async (t) => {
  const device = await enrolledDevice(t, { infoReply: () => knownHere })
  const { exitCode, checks } = await doctor(t, '--data', device.folder, '--tpm', 'chip')
  assert.deepEqual(
    checks.map(({ name, result }) => [name, result]),
    ['state folder', 'identity', 'clock', 'tpm', 'endorsement key', 'addon', 'service', 'broker'].map((name) => [
      name,
      'ok',
    ]),
  )
  assert.equal(exitCode, 0)
})

const knownHere = {
  status: 200,
  body: { suggestedWindow: { start: '2026-11-23T12:00:00Z', end: '2026-11-23T16:00:00Z' } },
}

test('a device that is trusted by nobody any more hears it from doctor, with what to do', async (t) => {
  const device = await enrolledDevice(t, {
    infoReply: () => ({ status: 403, body: { code: 'RENEWAL_REFUSED', title: 'Refused' } }),
    reasonCode: () => 0x87,
  })
  const { exitCode, checks } = await doctor(t, '--data', device.folder)
  const failed = checks.filter(({ result }) => result === 'fail')
  assert.deepEqual(
    failed.map(({ name, says }) => [name, /\[(\w+)\]$/.exec(says)?.[1]]),
    [
      ['service', 'REFUSED'],
      ['broker', 'BROKER_REFUSED'],
    ],
  )
  assert.ok(failed.every(({ says }) => /ask the operator/.test(says)))
  assert.equal(exitCode, 8)
})

test('doctor asks under a client id of its own, so that an agent keeps its session', async (t) => {
  const device = await enrolledDevice(t, { infoReply: () => knownHere })
  await doctor(t, '--data', device.folder)
  assert.deepEqual(
    device.broker.connects.map(({ packet }) => [packet.clientId, packet.clean]),
    [['gate-7~doctor', true]],
  )
})

test('a device that has not joined is asked about where it is to join', async (t) => {
  const device = await enrolledDevice(t)
  const folder = join(temporaryFolder(t), 'none')
  const before = await doctor(t, '--data', folder, '--join', device.service.joinUri())
  assert.deepEqual([before.exitCode, before.result('state folder'), before.result('identity')], [0, 'warn', 'warn'])
  assert.equal(before.result('service'), 'ok')
  const { pin } = await createTestCa()
  assert.notEqual(pin, ca.pin)
  const elsewhere = await doctor(t, '--data', folder, '--join', device.service.joinUri({ pin }))
  assert.deepEqual([elsewhere.exitCode, elsewhere.result('service')], [8, 'fail'])
})

test('a TPM, a service or a broker that does not answer fails with what is wrong, and exit code 8', async (t) => {
  const device = await enrolledDevice(t)
  await Promise.all([device.service.close(), device.broker.close()])
  const { exitCode, checks } = await doctor(t, '--data', device.folder, '--tpm', 'nowhere')
  assert.equal(exitCode, 8)
  const failed = checks.filter(({ result }) => result === 'fail')
  assert.deepEqual(
    failed.map(({ name, says }) => [name, /\[(\w+)\]$/.exec(says)?.[1]]),
    [
      ['tpm', 'TPM_UNREACHABLE'],
      ['service', 'UNREACHABLE'],
      ['broker', 'UNREACHABLE'],
    ],
  )
})

test('secrets that others can read, and a folder that others can write, are to be mended', async (t) => {
  const device = await enrolledDevice(t)
  const keyFile = join(device.folder, 'current', 'key.pem')
  chmodSync(keyFile, 0o640)
  const open = await doctor(t, '--data', device.folder)
  assert.deepEqual([open.exitCode, open.result('state folder')], [8, 'fail'])
  chmodSync(keyFile, 0o600)
  chmodSync(device.folder, 0o755)
  assert.equal((await doctor(t, '--data', device.folder)).result('state folder'), 'warn')
  chmodSync(device.folder, 0o777)
  assert.equal((await doctor(t, '--data', device.folder)).result('state folder'), 'fail')
})
