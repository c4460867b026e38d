import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { parseTrustDomain } from '#protocol'
import { decodePem, readDeviceIdentity, spkiHash, spkiOf } from '#x509'
import { needs } from '../needs.js'
import { emptyStage, runForeign, searchAudit, temporaryFolder } from '../journeys/world.js'

/* EST with clients that share no line with ours. */

const page = readFileSync('docs/device.md', 'utf8')

test(
  'curl and openssl alone go through all four operations, as docs/device.md says',
  needs('curl', 'openssl'),
  async (t) => {
    const world = await openWorld(t)
    const [, lines = ''] = /^## EST[^]*?^```sh\n([^]*?)^```$/m.exec(page) ?? assert.fail('no shell lines on the page')
    const here = lines.replace('fleet.example:8443', `localhost:${world.stage.ports.https}`)
    const env = { ...process.env, TOKEN: await world.token('est-1') }
    const { exitCode, stdout, stderr } = await runForeign('sh', ['-eu', '-c', here], { cwd: world.folder, env })
    assert.equal(exitCode, 0, stderr + stdout)
    assert.match(stdout, /challengePassword[^]*id-ecPublicKey[^]*prime256v1[^]*ecdsa-with-SHA256/)
    assert.match(stdout, /^cert\.pem: OK\nnext-cert\.pem: OK$/m)

    for (const [cert, key] of [
      ['cert.pem', 'key.pem'],
      ['next-cert.pem', 'next-key.pem'],
    ] as const) {
      const { deviceId, tier, spkiHash: certified } = world.identityIn(cert)
      assert.deepEqual([deviceId, tier, certified], ['est-1', 'token', world.keyHash(key)])
    }
    const [joined] = await searchAudit(world.stage, '--event', 'device.enroll')
    assert.deepEqual([joined?.device, joined?.binding], ['est-1', 'none'])
    assert.equal((await searchAudit(world.stage, '--event', 'device.renew')).length, 1)
  },
)

test(
  'openssl exports from its connection, and a CSR that says so joins over just that one',
  needs('openssl'),
  async (t) => {
    const world = await openWorld(t)
    const foreign = await openConnection(t, world)
    const own = await openConnection(t, world)
    const credentials = Buffer.from(`:${await world.token('est-2')}`).toString('base64')
    const request = csrOf(world.folder, own.binding)
    const refused = await foreign.post('simpleenroll', request, credentials)
    assert.match(refused, /^HTTP\/1\.1 403 [^]*"CHANNEL_MISMATCH"/)
    const answered = await own.post('simpleenroll', request, credentials)
    assert.match(answered, /^HTTP\/1\.1 200 /)
    const [joined] = await searchAudit(world.stage, '--event', 'device.enroll')
    assert.deepEqual([joined?.device, joined?.binding], ['est-2', 'exporter'])
  },
)

test('a token’s secret that came by EST is in no log of the service', needs('curl'), async (t) => {
  const world = await openWorld(t)
  const token = await world.token('est-3')
  const [, id = '', secret = ''] = token.split('.')
  const path = `https://localhost:${world.stage.ports.https}/.well-known/est/default/simpleenroll`
  for (const credentials of [`${id}:${secret}`, `:${token}`, `x${id}:${secret}`, `${id}:${secret}x`]) {
    const args = [
      '-sS',
      '--cacert',
      'ca.crt',
      '-u',
      credentials,
      '-H',
      'content-type: application/pkcs10',
      '-d',
      'AAAA',
      path,
    ]
    const { stdout } = await runForeign('curl', args, { cwd: world.folder })
    assert.match(stdout, /"code":/)
    assert.ok(!stdout.includes(secret))
  }
  const log = JSON.stringify(await searchAudit(world.stage))
  assert.match(log, /CSR_INVALID[^]*TOKEN_REQUIRED|TOKEN_REQUIRED[^]*CSR_INVALID/)
  assert.ok(!log.includes(secret) && !world.service.lines.some((line) => line.includes(secret)))
})

/** A running service, and a folder for a client that has only the root certificate from the operator. */
async function openWorld(t: TestContext) {
  const stage = emptyStage(t)
  const service = await stage.openService()
  const folder = temporaryFolder(t)
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  writeFileSync(join(folder, 'ca.crt'), readFileSync(join(stage.serverData, 'operator', 'ca.crt')))
  return {
    ...{ stage, service, folder },
    async token(device: string): Promise<string> {
      return (await stage.ask<{ token: string }>('tokens', 'create', '--device', device)).token
    },
    identityIn(file: string) {
      const [der = assert.fail(`no certificate in ${file}`), ...others] = decodePem(read(file), 'CERTIFICATE')
      assert.equal(others.length, 0)
      return readDeviceIdentity(der, parseTrustDomain('touchmark.local'))
    },
    keyHash: (file: string) => spkiHash(spkiOf(createPublicKey(read(file)))),
  }
}

/** A TLS connection that openssl has made, with the exporter's value that openssl knows of it, for one request. */
async function openConnection(t: TestContext, { stage, folder }: Awaited<ReturnType<typeof openWorld>>) {
  const at = ['-connect', `localhost:${stage.ports.https}`, '-servername', 'localhost', '-CAfile', 'ca.crt']
  const exporter = ['-keymatexport', 'EXPORTER-Channel-Binding', '-keymatexportlen', '32']
  const args = ['s_client', '-tls1_3', '-verify_return_error', '-ign_eof', ...at, ...exporter]
  const client = spawn('openssl', args, { cwd: folder, stdio: ['pipe', 'pipe', 'ignore'] })
  t.after(() => client.kill())
  let said = ''
  client.stdout.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')))
  const exported = () => /Keying material: ([0-9A-F]{64})/.exec(said)?.[1]
  while (exported() === undefined) await once(client.stdout, 'data')
  return {
    binding: Buffer.from(exported() ?? '', 'hex').toString('base64'),
    /** The whole answer. */
    async post(operation: string, csr: string, credentials: string): Promise<string> {
      const heads = [
        `POST /.well-known/est/default/${operation} HTTP/1.1`,
        'host: localhost',
        'connection: close',
        'content-type: application/pkcs10',
        `content-length: ${csr.length}`,
        `authorization: Basic ${credentials}`,
      ]
      client.stdin.write(`${heads.join('\r\n')}\r\n\r\n${csr}`)
      await once(client, 'close')
      return said.slice(said.indexOf('HTTP/1.1'))
    },
  }
}

/** A request of openssl's for a new key, with a challenge password. */
function csrOf(folder: string, challengePassword: string): string {
  const config = ['[req]', 'prompt=no', 'distinguished_name=dn', 'attributes=more', '[dn]', 'CN=passed-over', '[more]']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'bound-key.pem']
  writeFileSync(join(folder, 'bound.cnf'), [...config, `challengePassword=${challengePassword}`, ''].join('\n'))
  const der = execFileSync('openssl', ['req', '-new', ...key, '-outform', 'DER', '-config', 'bound.cnf'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return der.toString('base64')
}
