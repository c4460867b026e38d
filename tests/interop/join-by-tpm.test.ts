import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startSwtpm } from '#simulators'
import { decodePem, readDeviceIdentity } from '#x509'
import { parseTrustDomain } from '#protocol'
import { mustRun } from '../../demo/programs.js'
import { needs } from '../needs.js'
import { emptyStage, runForeign, searchAudit, temporaryFolder } from '../journeys/world.js'

/*
 * A client that shares no line with ours: tpm2-tools, openssl and curl, against the running service.
 */

const script = fileURLToPath(new URL('../../../tests/interop/join-by-tpm.sh', import.meta.url))
const options = needs(
  ...['swtpm', 'swtpm_setup', 'tpm2_createek', 'tpm2_send', 'tpm2_activatecredential', 'tpm2_nvdefine'],
  ...['openssl', 'curl', 'basenc', 'od', 'sed'],
)

for (const [kind, template] of [
  ['rsa', 'rsa-2048'],
  ['ecc', 'ecc-p256'],
] as const) {
  test(`tpm2-tools, openssl and curl join with the ${template} key of a registered TPM`, options, async (t) => {
    const world = await openWorld(t)
    const { stage, swtpm } = world
    const { ekHash } = JSON.parse(
      await mustRun('touchmark-agent', ['ek', '--tpm', swtpm.spec, '--ek', template, '-o', 'json']),
    ) as { ekHash: string }
    await stage.operator('devices', 'register', 'shell-1', '--ek-hash', ekHash)

    const { exitCode, stdout, stderr, folder } = await joinByShell(t, world, kind)
    assert.deepEqual([exitCode, stdout.trim()], [0, 'shell-1'], stderr)
    const [der = assert.fail()] = decodePem(readFileSync(join(folder, 'cert.pem'), 'utf8'), 'CERTIFICATE')
    const identity = readDeviceIdentity(der, parseTrustDomain('touchmark.local'))
    assert.deepEqual([identity.deviceId, identity.tier], ['shell-1', 'tpm'])
    const [joined] = await searchAudit(stage, '--event', 'device.enroll')
    assert.deepEqual([joined?.anchorHash, joined?.binding, joined?.tier], [ekHash, 'nonce', 'tpm'])
    assert.ok(!readdirSync(folder).some((file) => /PRIVATE KEY/.test(readFileSync(join(folder, file), 'latin1'))))
  })
}

test(
  'the same client brings a token where nobody has registered the TPM, and is refused without',
  options,
  async (t) => {
    const world = await openWorld(t)
    const refused = await joinByShell(t, world, 'rsa')
    assert.equal(refused.exitCode, 1)
    assert.match(refused.stderr, /JOIN_REFUSED/)
    const { token } = await world.stage.ask<{ token: string }>('tokens', 'create', '--device', 'shell-2')
    const { exitCode, stdout, stderr } = await joinByShell(t, world, 'rsa', { TOKEN: token })
    assert.deepEqual([exitCode, stdout.trim()], [0, 'shell-2'], stderr)
  },
)

async function openWorld(t: TestContext) {
  const stage = emptyStage(t)
  const swtpm = await startSwtpm({ folder: join(stage.folder, 'chip'), ek: 'with-p256' })
  stage.track(swtpm)
  const makers = join(stage.folder, 'makers.pem')
  writeFileSync(makers, [...swtpm.ekRoots, ...swtpm.ekIntermediates].join('\n'))
  await stage.openService({ ekRootFiles: [makers] })
  return { stage, swtpm }
}

async function joinByShell(
  t: TestContext,
  { stage, swtpm }: Awaited<ReturnType<typeof openWorld>>,
  kind: 'rsa' | 'ecc',
  environment: NodeJS.ProcessEnv = {},
) {
  const folder = temporaryFolder(t)
  const ca = join(stage.serverData, 'operator', 'ca.crt')
  const url = `https://localhost:${stage.ports.https}`
  const args = [script, kind, url, ca, 'touchmark.local', 'default', folder]
  const env = { ...process.env, TPM2TOOLS_TCTI: swtpm.tcti, ...environment }
  return { folder, ...(await runForeign('sh', args, { env, timeout: 60_000 })) }
}
