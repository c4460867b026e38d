import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, watch, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { counted } from '../../server/greeting.js'
import { spell } from '../../server/spelling.js'
import { run, temporaryFolder, up, upForPeople, upOnFreePorts } from './running.js'

const nobody = 65_534

test('the first run makes an installation that only its owner can read, and the next one finds it', async (t) => {
  const folder = temporaryFolder(t)
  const first = await up(folder)
  assert.equal(first.ready.firstRun, true)
  assert.match(first.ready.token ?? '', /^tm1\./)
  assert.equal(statSync(join(folder, 'data')).mode & 0o777, 0o700)
  const secrets = ['operator/operator.key', 'keys/audit.key', ...keysIn(join(folder, 'data', 'ca'))]
  for (const file of secrets) assert.equal(statSync(join(folder, 'data', file)).mode & 0o077, 0, file)
  const made = await run(folder, ['tokens', 'create', '-o', 'json'])
  assert.equal(made.code, 0, made.stderr)
  assert.equal(await first.stop(), 0)

  const second = await up(folder)
  assert.deepEqual([second.ready.firstRun, second.ready.token], [false, undefined])
  assert.equal(pinOf(second.ready.joinUri), pinOf(first.ready.joinUri))
  const tokens = JSON.parse((await run(folder, ['tokens', 'ls', '-o', 'json'])).stdout) as readonly unknown[]
  assert.equal(tokens.length, 2)
  assert.equal(await second.stop('SIGINT'), 0)
  assert.equal((await run(folder, ['audit', 'verify'])).code, 0)
})

test('after kill -9 nothing is lost that was answered', async (t) => {
  const folder = temporaryFolder(t)
  const first = await up(folder)
  const { stdout } = await run(folder, ['tokens', 'create', '-o', 'json'])
  const { id } = JSON.parse(stdout) as { id: string }
  await first.stop('SIGKILL')
  const second = await up(folder)
  assert.ok((await run(folder, ['tokens', 'ls', '-o', 'json'])).stdout.includes(id))
  await second.stop()
  assert.equal((await run(folder, ['audit', 'verify'])).code, 0)
})

test('a second server on the folder says that it is locked, and the first goes on', async (t) => {
  const folder = temporaryFolder(t)
  await up(folder)
  const second = await run(folder, upOnFreePorts)
  assert.deepEqual([second.code, codeIn(second.stderr), second.stdout], [1, 'STORE_LOCKED', ''])
  assert.equal((await run(folder, ['status'])).code, 0)
})

test('a port that is taken is named, and the folder is good afterwards', async (t) => {
  const folder = temporaryFolder(t)
  const other = createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  for (const option of ['--https-port', '--mqtt-port', '--websocket-port', '--health-port']) {
    const refused = await run(folder, [...upOnFreePorts, option, String(port)])
    assert.deepEqual([refused.code, codeIn(refused.stderr), refused.stdout], [1, 'PORT_IN_USE', ''])
    assert.ok(refused.stderr.includes(String(port)))
  }
  const running = await up(folder)
  assert.equal(await running.stop(), 0)
})

test('a folder that cannot be written is named, and nothing is begun', { skip: skipUnlessRoot() }, async (t) => {
  const folder = temporaryFolder(t)
  chmodSync(folder, 0o755)
  const refused = await run(folder, upOnFreePorts, { uid: nobody })
  assert.deepEqual([refused.code, codeIn(refused.stderr)], [1, 'FOLDER_UNUSABLE'])
  assert.match(refused.stderr, /no permission/)
  assert.deepEqual(readdirSync(folder), [])
})

test('a file in the place of the data folder is named', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'data'), '')
  const refused = await run(folder, upOnFreePorts)
  assert.equal(refused.code, 1)
  assert.equal(codeIn(refused.stderr), 'FOLDER_UNUSABLE')
})

test('a mistake in the configuration is named by file, line and column, before anything is made', async (t) => {
  const folder = temporaryFolder(t)
  const config = join(folder, 'touchmark.yaml')
  for (const [source, place] of [
    ['listen:\n  httpsPort: 99999\n', ':2:3'],
    ['audit:\n  mode: lax\n', ':2:3'],
    ['trustDomain: x\nlisten: [\n', ':3:1'],
    ['names: []\nlistn: {}\n', ':2:1'],
    ['ekRoots: [nowhere.pem]\n', ''],
    ['listen: &a {}\nnames: *a\n', ''],
    ['['.repeat(60_000), ''],
    [`names: []\n${'#'.repeat(65_536)}\n`, ''],
  ] as const) {
    writeFileSync(config, source)
    const refused = await run(folder, [...upOnFreePorts, '--config', config])
    assert.deepEqual([refused.code, codeIn(refused.stderr)], [2, 'CONFIG_INVALID'], source.slice(0, 40))
    if (place !== '') assert.ok(refused.stderr.includes(`${config}${place}`), refused.stderr)
  }
  assert.equal(existsSync(join(folder, 'data')), false)
})

test('options that are not known or not in range are bad usage', async (t) => {
  const folder = temporaryFolder(t)
  for (const args of [['--no-such'], ['--https-port', 'x'], ['--trust-domain', 'Ä'], ['-o', 'xml']]) {
    assert.equal((await run(folder, ['up', ...args])).code, 2, args.join(' '))
  }
  const help = await run(folder, ['up', '--help'])
  assert.deepEqual([help.code, /--ek-root/.test(help.stdout)], [0, true])
})

test('another trust domain is refused on a folder that has one', async (t) => {
  const folder = temporaryFolder(t)
  const first = await up(folder, ['--trust-domain', 'fleet.example'])
  await first.stop()
  assert.match(readFileSync(join(folder, 'data', 'touchmark.yaml'), 'utf8'), /trustDomain: fleet\.example/)
  const again = await up(folder)
  await again.stop()
  const refused = await run(folder, [...upOnFreePorts, '--trust-domain', 'other.example'])
  assert.deepEqual([refused.code, codeIn(refused.stderr)], [2, 'CONFIG_INVALID'])
})

test('says by HTTP on loopback whether it lives, is ready, and how it is', async (t) => {
  const folder = temporaryFolder(t)
  const { ready } = await up(folder)
  const get = async (path: string) => fetch(`http://127.0.0.1:${ready.ports.health}${path}`)
  assert.equal((await get('/livez')).status, 200)
  const readiness = await get('/readyz')
  assert.equal(readiness.status, 200)
  const ok = { ok: true }
  assert.deepEqual(await readiness.json(), { ready: true, checks: { store: ok, signer: ok, audit: ok, broker: ok } })
  assert.match(await (await get('/metrics')).text(), /^touchmark_devices_active 0$/m)
  assert.equal((await get('/other')).status, 404)
})

test('health and metrics are read where the operator says, and nowhere else', async (t) => {
  const folder = temporaryFolder(t)
  const { ready } = await up(folder, ['--health-host', '127.0.0.2'])
  const { health } = ready.ports
  assert.equal((await fetch(`http://127.0.0.2:${health}/livez`)).status, 200)
  await assert.rejects(fetch(`http://127.0.0.1:${health}/livez`))
  assert.match(readFileSync(join(folder, 'data', 'touchmark.yaml'), 'utf8'), /^ {2}healthHost: "127\.0\.0\.2"$/m)
})

test('a signal in the middle of the start ends it in order, and the folder is good afterwards', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'data'))
  const made = watch(join(folder, 'data'))
  const starting = run(folder, upOnFreePorts, { onSpawn: (child) => made.once('change', () => child.kill()) })
  t.after(() => made.close())
  const { code, stderr } = await starting
  assert.deepEqual([code, stderr], [0, ''])
  const again = await up(folder)
  assert.equal(await again.stop(), 0)
})

test('names the commands as they are found from where it was started', (t) => {
  const folder = temporaryFolder(t)
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  assert.equal(spell('touchmark', { folder, path: bin }), 'touchmark')
  writeFileSync(join(folder, 'package.json'), '{"name":"touchmark"}')
  assert.equal(spell('touchmark-agent', { folder, path: bin }), 'npx touchmark-agent')
  writeFileSync(join(bin, 'touchmark-agent'), '', { mode: 0o755 })
  assert.equal(spell('touchmark-agent', { folder, path: bin }), 'touchmark-agent')
})

test('tells a person what was made and the exact command that a device needs', async (t) => {
  const folder = temporaryFolder(t)
  const finished = await upForPeople(folder)
  assert.match(
    finished,
    /touchmark-agent enroll --join 'touchmark:\/\/localhost:\d+\/default\?pin=sha256:[\w-]{43}' --token tm1\./,
  )
  assert.match(finished, /^ready$/m)
})

test('tells a person at every other start what it has found', async (t) => {
  const folder = temporaryFolder(t)
  await upForPeople(folder)
  const found = /^0 active devices, 0 stored sessions, \d+ audit records, policy version 1$/m
  assert.match(await upForPeople(folder), found)
  assert.deepEqual([counted(1, 'active device'), counted(2, 'active device')], ['1 active device', '2 active devices'])
})

function skipUnlessRoot(): string | false {
  return process.getuid?.() === 0 ? false : 'needs root, to run as a user who may not write'
}

function keysIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => /key/.test(name))
    .map((name) => `ca/${name}`)
}

function pinOf(uri: string): string | null {
  return new URL(uri.replace('touchmark:', 'https:')).searchParams.get('pin')
}

function codeIn(stderr: string): string | undefined {
  return /\[([A-Z_]+)\]\s*$/.exec(stderr)?.[1]
}
