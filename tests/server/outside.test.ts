import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test, { type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseConfigFile } from '../../server/config-file.js'
import { readOutsideSettings } from '../../server/outside-settings.js'
import { run, temporaryFolder, up } from './running.js'

const touchmark = fileURLToPath(new URL('../../bin/touchmark.js', import.meta.url))
const silentWitness = 'witness.test/silent+89ebc8d4+BHpoa47tKAI8o1QQv6UMFu4RGRdHgDqc/LJMHGNWU+wY'
const logKey = 'touchmark.local/audit+49304548+AQ9Nce0vVKxUNOfOfXyl9BPR8RwycQWI8z7nIXQ79l5o'

test('case 91: an older copy of the whole data folder is refused at the next start, because a witness knows better', async (t) => {
  const folder = temporaryFolder(t)
  const data = join(folder, 'data')
  await (await up(folder)).stop()
  const older = join(folder, 'older')
  cpSync(data, older, { recursive: true })

  const witness = await startWitness(t, folder, join(data, 'operator', 'audit.vkey'))
  const published = join(folder, 'published')
  configure(
    data,
    `audit: {witnesses: [{url: "${witness.url}", vkey: "${witness.verifierKey}"}], publish: [{file: "${published}"}]}`,
  )
  const server = await up(folder)
  const status = JSON.parse((await run(folder, ['-o', 'json', 'status'])).stdout) as Status
  assert.deepEqual(
    status.audit.outside.places.map(({ kind }) => kind),
    ['witness', 'published'],
  )
  assert.equal(await server.stop(), 0)
  const seen = Number(readFileSync(published, 'utf8').split('\n')[1])
  assert.equal(existsSync(join(data, 'audit', 'log', 'witnessed')), true)
  const vouched = await run(folder, ['audit', 'verify', '--witness-vkey', witness.verifierKey])
  assert.equal(vouched.code, 0, vouched.stderr)
  assert.match(vouched.stdout, new RegExp(`^${witness.name}: cosigned the first ${seen} records, 20`, 'm'))
  const silent = await run(folder, ['-o', 'json', 'audit', 'verify', '--witness-vkey', silentWitness])
  assert.equal(silent.code, 8)
  assert.match(silent.stdout, /"problem": "it has cosigned nothing/)

  renameSync(data, join(folder, 'newer'))
  cpSync(older, data, { recursive: true })
  cpSync(join(folder, 'newer', 'touchmark.yaml'), join(data, 'touchmark.yaml'))
  rmSync(published)
  const refused = await run(folder, [
    'up',
    '--https-port',
    '0',
    '--mqtt-port',
    '0',
    '--websocket-port',
    '0',
    '--health-port',
    '0',
  ])
  assert.equal(refused.code, 1)
  assert.match(
    refused.stderr,
    new RegExp(`the witness ${witness.name} has a checkpoint of ${seen} records.*AUDIT_ROLLED_BACK`),
  )

  rmSync(data, { recursive: true })
  renameSync(join(folder, 'newer'), data)
  assert.equal(await (await up(folder)).stop(), 0)
})

test('a witness that is down keeps nobody from working; status and readiness say so', async (t) => {
  const folder = temporaryFolder(t)
  const data = join(folder, 'data')
  await (await up(folder)).stop()
  const witness = await startWitness(t, folder, join(data, 'operator', 'audit.vkey'))
  await witness.stop()
  configure(data, `audit: {witnesses: [{url: "${witness.url}", vkey: "${witness.verifierKey}"}]}`)
  const server = await up(folder)
  const ready = await fetch(`http://127.0.0.1:${server.ready.ports.health}/readyz`)
  const said = (await ready.json()) as { ready: boolean; checks: { audit: { ok: boolean; warning?: string } } }
  assert.deepEqual([ready.status, said.ready, said.checks.audit.ok], [200, true, true])
  assert.match(said.checks.audit.warning ?? '', new RegExp(`^${witness.name}: .*ECONNREFUSED`))
  const { stdout } = await run(folder, ['status'])
  assert.match(stdout, /^outside +no checkpoint has left this machine yet$/m)
  assert.match(stdout, new RegExp(`^witness +${witness.name}: nothing yet; FAILING: .*ECONNREFUSED`, 'm'))
  assert.equal(await server.stop(), 0)
})

test('a log that changes its key from one checkpoint to the next keeps a witness that is given both keys', async (t) => {
  const folder = temporaryFolder(t)
  const data = join(folder, 'data')
  const key = join(data, 'operator', 'audit.vkey')
  await (await up(folder)).stop()
  const oldKey = join(folder, 'old.vkey')
  cpSync(key, oldKey)
  const witness = await startWitness(t, folder, oldKey)
  configure(data, `audit: {witnesses: [{url: "${witness.url}", vkey: "${witness.verifierKey}"}]}`)
  const changing = await up(folder)
  const status = async () => JSON.parse((await run(folder, ['-o', 'json', 'status'])).stdout) as Status
  while (!(await status()).audit.outside.newest); // until it is cosigned with the old key
  assert.equal((await run(folder, ['audit', 'rotate-key', '--days', '0'])).code, 0)
  await changing.stop()
  const cosigned = async () => {
    const args = ['-o', 'json', 'audit', 'verify', '--vkey', key, '--witness-vkey', witness.verifierKey]
    const { code, stdout, stderr } = await run(folder, args)
    assert.equal(code, 0, stderr)
    const { size, witnesses } = JSON.parse(stdout) as { size: number; witnesses: readonly [{ size: number }] }
    return { size, witnessed: witnesses[0].size }
  }
  const alone = await cosigned()
  assert.ok(alone.witnessed < alone.size, 'by the new key alone nothing is cosigned for who knows the old one')

  await witness.stop()
  const told = await startWitness(t, folder, oldKey, key)
  assert.equal(told.verifierKey, witness.verifierKey)
  configure(data, `audit: {witnesses: [{url: "${told.url}", vkey: "${told.verifierKey}"}]}`)
  assert.equal(await (await up(folder)).stop(), 0)
  const { size, witnessed } = await cosigned()
  assert.deepEqual([witnessed > alone.size, witnessed], [true, size])
})

test('settings for witnesses and places are checked before anything starts', () => {
  const parse = (yaml: string) => readOutsideSettings(parseConfigFile(`audit: ${yaml}`, 'f').audit ?? {}, '/conf')
  const vkey = silentWitness
  const bad = [
    '{witnesses: [{url: "http://w"}]}',
    '{witnesses: [{url: "ftp://w", vkey: x}]}',
    `{witnesses: [{url: "http://w", vkey: "${logKey}"}]}`,
    `{witnesses: [{url: "http://w", vkey: "${vkey.replace('silent', 'loud')}"}]}`,
    '{publish: [{}]}',
    '{publish: [{file: a, url: "http://b"}]}',
    '{publish: [{url: "http://b", history: c}]}',
    '{publish: [{url: "http://b", method: DELETE}]}',
    '{publish: [{url: "http://b", ca: no-such-file}]}',
    '{checkpointEverySeconds: 0}',
  ]
  for (const yaml of bad) assert.throws(() => parse(yaml), { code: 'CONFIG_INVALID' }, yaml)
  const { publish, everyMilliseconds } = parse('{publish: [{file: a, history: b}, {url: "https://x/y"}]}')
  assert.deepEqual(publish[0], { file: '/conf/a', history: '/conf/b' })
  assert.equal(everyMilliseconds, 60_000)
})

interface Status {
  readonly audit: {
    readonly outside: { readonly newest?: unknown; readonly places: readonly { readonly kind: string }[] }
  }
}

function configure(data: string, audit: string): void {
  const file = join(data, 'touchmark.yaml')
  const settings = readFileSync(file, 'utf8').replace(/^audit:.*\n(?: .*\n)*/m, '')
  writeFileSync(file, `${settings}${audit}\n`)
}

async function startWitness(t: TestContext, folder: string, ...logKeyFiles: readonly string[]) {
  const state = join(folder, 'witness')
  mkdirSync(state, { recursive: true })
  const args = [
    'witness',
    '-o',
    'json',
    '--name',
    'witness.test/w',
    ...logKeyFiles.flatMap((file) => ['--log', file]),
    '--state',
    state,
    '--port',
    '0',
  ]
  const child = spawn(process.execPath, [touchmark, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const stop = async () => await ended(child)
  t.after(stop)
  for await (const line of createInterface({ input: child.stdout })) {
    return { ...(JSON.parse(line) as { url: string; name: string; verifierKey: string }), stop }
  }
  throw new Error('the witness ended before it was ready')
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill()
  await gone
}
