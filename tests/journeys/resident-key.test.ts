import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { decodeJoinAnswer, encodeBase64url, routes } from '#protocol'
import { startSwtpm } from '#simulators'
import { encodePublic, openTpm, signingKey, storageRootKey, type StoredSigningKey } from '#tpm'
import { createCsr } from '#x509'
import { RunningProgram } from '../../demo/programs.js'
import type { JoinMethod } from '../../device-agent/enroll.js'
import { TpmKey } from '../../device-agent/tpm-key.js'
import { createPrimary, flushContext } from '../../tpm/commands/objects.js'
import { TpmReader, TpmWriter } from '../../tpm/structures/codec.js'
import { openSocket } from '../../tpm/transport/socket.js'
import type { Transport } from '../../tpm/transport/transport.js'
import { enrolledDevice } from '../device-agent/enrolled-device.js'
import { needs } from '../needs.js'
import { formsOf, tracesInFiles, tracesInMemory } from './traces.js'
import { temporaryFolder } from './world.js'

const options = { ...needs('swtpm', 'swtpm_setup', '/proc/self/mem'), timeout: 60_000 }

/*
 * A key that was made in a TPM is known to nobody, so nobody can look for it. Here the TPM is given one that is known:
 * for the agent there is no difference, but this key can be looked for, at every byte of its memory and of its files.
 */

test(
  'an agent that connects and renews with a key in the TPM has it nowhere, in memory or on disk',
  options,
  async (t) => {
    let stop: () => Promise<void> = () => Promise.resolve()
    t.after(() => stop()) // before its folder goes
    const swtpm = await startSwtpm({ folder: temporaryFolder(t) })
    stop = () => swtpm.stop()
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const stored = await imported(swtpm.spec, privateKey)
    const { scratch, device, agent } = await runningAgent(t, residentJoin(swtpm.spec, stored))

    const needles = formsOf(scalarOf(privateKey))
    assert.ok(agent.pid !== undefined)
    assert.deepEqual([...tracesInMemory(agent.pid, needles)], [])
    await agent.stop()
    for (const folder of [device.folder, scratch]) assert.deepEqual([...tracesInFiles(folder, needles)], [])
  },
)

test('and the same look finds a key in a file in both, so it would have found that one', options, async (t) => {
  const { device, agent } = await runningAgent(t)
  const needles = formsOf(scalarOf(createPrivateKey(readFileSync(join(device.folder, 'current', 'key.pem'), 'utf8'))))
  assert.ok(agent.pid !== undefined)
  assert.ok(tracesInMemory(agent.pid, needles).size > 0)
  await agent.stop()
  assert.ok(tracesInFiles(device.folder, needles).size > 0)
})

/** The agent as a process of its own, which has renewed with its key and connected with it twice. */
async function runningAgent(t: TestContext, method?: JoinMethod) {
  const scratch = join(temporaryFolder(t), 'tmp')
  mkdirSync(scratch)
  const device = await enrolledDevice(t, { renewal: 'now', ...(method && { method }) })
  const args = ['run', '--rotate-key', 'never', '--data', device.folder]
  const agent = new RunningProgram('touchmark-agent', args, { TMPDIR: scratch })
  t.after(() => agent.stop())
  await agent.line((line) => line.includes(' connected ') && line.includes('generation=2'))
  return { scratch, device, agent }
}

function scalarOf(privateKey: KeyObject): Uint8Array {
  return Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url')
}

function residentJoin(spec: string, stored: StoredSigningKey): JoinMethod {
  return {
    isUsable: () => Promise.resolve(false),
    createKey: () => Promise.resolve({ kind: 'tpm', tpm: spec, stored, proof: { binding: 'exporter', pcrs: [] } }),
    prepare: async () => {
      const tpm = await openTpm(spec)
      const key = await TpmKey.load(tpm, stored)
      const csr = await createCsr({ spki: key.spki, sign: (data) => key.sign(data) })
      await tpm.close()
      const body = { csr: encodeBase64url(csr) }
      return { key, ask: (service) => service.send(routes.joinToken, decodeJoinAnswer, body, 'tm1.id.secret') }
    },
  }
}

/** The key as a blob of this TPM (TPM2_Import, Part 3 §13.3): what a TPM allows only for keys that it did not make. */
async function imported(spec: string, privateKey: KeyObject): Promise<StoredSigningKey> {
  const { x = '', y = '' } = privateKey.export({ format: 'jwk' })
  assert.equal(signingKey.type, 'ecc')
  const area = encodePublic({
    ...signingKey,
    attributes: { ...signingKey.attributes, fixedTPM: false, fixedParent: false, sensitiveDataOrigin: false },
    x: Buffer.from(x, 'base64url'),
    y: Buffer.from(y, 'base64url'),
  })
  const transport = await openSocket({ path: spec.slice('swtpm:'.length) })
  try {
    const parent = await createPrimary(transport, 'owner', storageRootKey)
    const wrapped = await importUnder(transport, parent.handle, area, scalarOf(privateKey))
    await flushContext(transport, parent.handle)
    return { public: area, private: wrapped }
  } finally {
    await transport.close()
  }
}

async function importUnder(transport: Transport, parent: number, area: Uint8Array, scalar: Uint8Array) {
  const nothing = new Uint8Array(0)
  const ecc = 0x0023
  const sensitive = new TpmWriter().uint16(ecc).sized(nothing).sized(nothing).sized(scalar).encoded() // TPMT_SENSITIVE
  const duplicate = new TpmWriter().sized(sensitive).encoded()
  const noSymmetric = 0x0010
  const body = new TpmWriter()
    .uint32(parent)
    .uint32(9) // one authorization: the empty password
    .uint32(0x40000009)
    .sized(nothing)
    .uint8(0)
    .sized(nothing)
    .sized(nothing)
    .sized(area)
    .sized(duplicate)
    .sized(nothing)
    .uint16(noSymmetric)
    .encoded()
  const command = new TpmWriter()
    .uint16(0x8002)
    .uint32(body.length + 10)
    .uint32(0x156)
    .bytes(body)
    .encoded()
  const reader = new TpmReader(await transport.send(command))
  assert.equal(reader.uint16(), 0x8002, 'the TPM refused')
  reader.bytes(12) // sizes and the response code
  return reader.sized(1024)
}
