import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { defaultPolicy } from '#policy'
import { ApiClient } from '../../cli/client.js'
import { readCredential } from '../../cli/credential.js'
import { ServerRefusal } from '../../cli/errors.js'
import { needs } from '../needs.js'
import { freePorts, type Running, run, temporaryFolder, up } from './running.js'

/* What a policy cannot be read from must never be a policy, and least of all an open one. */

const unreadable = [
  ['', 'POLICY_EMPTY'],
  ['# all of it\n# is commented out\n', 'POLICY_EMPTY'],
  ['roles: [\n', 'POLICY_SYNTAX'],
  [defaultPolicy.replace('roles:\n', 'roles: {}\nroles:\n'), 'POLICY_DUPLICATE'],
  [defaultPolicy.replace('allow:', 'alow:'), 'POLICY_UNKNOWN_KEY'],
] as const

test('case 37: with a policy that is empty, only comments, broken, double or misspelt the service does not start, and with none it denies what no rule allows', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'data', 'policy.yaml')
  mkdirSync(join(folder, 'data'))
  for (const [source, code] of unreadable) {
    writeFileSync(file, source)
    const { code: exit, stderr } = await run(folder, ['up', ...freePorts])
    assert.notEqual(exit, 0, code)
    assert.match(stderr, new RegExp(`\\[${code}\\]`))
  }
  rmSync(file)
  const api = await connect(folder, await up(folder))
  assert.equal(await decides(api, 'devices/d1/telemetry/t'), 'allow')
  assert.equal(await decides(api, 'devices/d2/telemetry/t'), 'deny')
})

test('case 37: a policy that is empty, only comments, broken, double or misspelt is not applied, and the one in force decides on', async (t) => {
  const folder = temporaryFolder(t)
  const api = await connect(folder, await up(folder))
  const before = await api.call('getPolicy')
  for (const [source, code] of unreadable) {
    await assert.rejects(api.call('applyPolicy', { text: source }), { code })
    assert.deepEqual(await api.call('getPolicy'), before)
    assert.equal(await decides(api, 'devices/d2/telemetry/t'), 'deny')
  }
})

test(
  'case 38: a policy that comes while no file can be opened leaves the old one in force, also after a restart',
  needs('prlimit'),
  async (t) => {
    const folder = temporaryFolder(t)
    const first = await up(folder)
    const api = await connect(folder, first)
    const allowFiles = (count: number) =>
      execFileSync('prlimit', ['--pid', String(first.child.pid), `--nofile=${count}:`])
    allowFiles(lowestFree(first))
    const { accepted, code } = await applyUntilRefused(api)
    assert.match(code, /^(STORE|AUDIT)_/)
    assert.equal((await api.call('getPolicy')).version, accepted)
    assert.equal(await decides(api, 'devices/d2/telemetry/t'), 'deny')
    allowFiles(1024)
    await first.stop('SIGKILL')

    const again = await connect(folder, await up(folder))
    assert.equal((await again.call('getPolicy')).version, accepted)
    const [newest] = await again.call('listPolicyVersions')
    assert.deepEqual([newest?.version, newest?.inForce], [accepted, true])
  },
)

/** Each is as long as it may be, so that the store soon needs another file for them. */
async function applyUntilRefused(api: ApiClient): Promise<{ readonly accepted: number; readonly code: string }> {
  for (let version = 2; ; version++) {
    const padding = `# ${String(version).repeat(240_000).slice(0, 240_000)}\n`
    const text = `${defaultPolicy.replace('version: 1 ', `version: ${version} `)}${padding}`
    try {
      await api.call('applyPolicy', { text })
    } catch (error) {
      assert.ok(error instanceof ServerRefusal)
      return { accepted: version - 1, code: error.code }
    }
  }
}

/** On one connection, which it keeps. */
async function connect(folder: string, { ready }: Running): Promise<ApiClient> {
  const server = new URL(`https://localhost:${ready.ports.https}`)
  const api = new ApiClient(server, readCredential(join(folder, 'data', 'operator')))
  await api.call('getPolicy')
  return api
}

async function decides(api: ApiClient, topic: string): Promise<'allow' | 'deny'> {
  const body = { as: { id: 'd1', tier: 'token' }, action: 'publish', topic }
  return (await api.call('explainPolicy', { body })).decision.effect
}

/** The number that the next file would get: with no more than these it gets none. */
function lowestFree({ child }: Running): number {
  const open = new Set(readdirSync(`/proc/${child.pid}/fd`).map(Number))
  return Array.from({ length: open.size + 1 }, (_, at) => at).find((at) => !open.has(at)) ?? open.size
}
