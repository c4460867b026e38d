import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { RunningProgram } from '../../demo/programs.js'
import type { Stage } from '../../demo/stage.js'
import { needs } from '../needs.js'
import { asRoot } from '../small-disk.js'
import { openStage, runForeign, temporaryFolder } from './world.js'

const repository = fileURLToPath(new URL('../../..', import.meta.url))

test('the agent is one file below 1 MB that joins by its settings and connects, and says how much memory that takes', async (t) => {
  const stage = await openStage(t)
  const folder = temporaryFolder(t)
  const bundle = await makeBundle(join(folder, 'bundle'))
  assert.ok(statSync(bundle).size < 1_000_000)

  const settings = join(folder, 'agent.json')
  writeFileSync(settings, await firstBootSettings(stage, 'edge-1'), { mode: 0o600 })
  const data = join(folder, 'state')
  const agent = new RunningProgram([process.execPath, bundle, 'run', '--config', settings, '--data', data])
  stage.track(agent)
  await agent.line((line) => line.includes(' connected device=edge-1 '))
  assert.doesNotMatch(readFileSync(settings, 'utf8'), /tm1\./)
  t.diagnostic(`${statSync(bundle).size} bytes, ${residentMegabytes(agent.pid).toFixed(1)} MB resident when connected`)

  const told = await runForeign(process.execPath, [bundle, 'doctor', '--data', data, '-o', 'json'])
  const checks = JSON.parse(told.stdout) as readonly { readonly name: string; readonly result: string }[]
  const results = checks.filter(({ name }) => name === 'service' || name === 'broker').map(({ result }) => result)
  assert.deepEqual(results, ['ok', 'ok'])
  assert.equal(await agent.stop(), 0)
})

test(
  'in a root that holds nothing but Node, its libraries and that file, three lines of set-up bring it to the broker',
  {
    ...asRoot(),
    ...needs('chroot', 'ldd'),
  },
  async (t) => {
    const stage = await openStage(t)
    const root = join(temporaryFolder(t), 'root')
    provideNode(root)
    await makeBundle(join(root, 'opt/touchmark-agent'))
    mkdirSync(join(root, 'etc/touchmark'), { recursive: true })
    writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n')

    // 1. the file is there; 2. the settings say where to join, and with what; 3. it is started
    writeFileSync(join(root, 'etc/touchmark/agent.json'), await firstBootSettings(stage, 'edge-2'), { mode: 0o600 })
    const agent = new RunningProgram([
      'chroot',
      root,
      '/usr/bin/node',
      '/opt/touchmark-agent/touchmark-agent.mjs',
      'run',
    ])
    stage.track(agent)
    await agent.line((line) => line.includes(' connected device=edge-2 '))
    assert.ok(existsSync(join(root, 'var/lib/touchmark-agent/current/cert.pem')))
    assert.equal(await agent.stop(), 0)
  },
)

async function makeBundle(folder: string): Promise<string> {
  const script = join(repository, 'scripts/bundle-agent.mjs')
  const made = await runForeign(process.execPath, [script, folder], { cwd: repository, timeout: 120_000 })
  assert.equal(made.exitCode, 0, made.stderr)
  return join(folder, 'touchmark-agent.mjs')
}

async function firstBootSettings(stage: Stage, device: string): Promise<string> {
  const { token } = await stage.ask<{ token: string }>('tokens', 'create', '--device', device)
  return JSON.stringify({ join: stage.joinUri, token, announce: 'devices/{id}/state' })
}

/** The program and whatever the loader finds for it, at the same places. */
function provideNode(root: string): void {
  place(process.execPath, join(root, 'usr/bin/node'))
  for (const [, library = ''] of execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).matchAll(
    /(\/\S+) \(0x/g,
  )) {
    place(library, join(root, library))
  }
}

function place(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  try {
    linkSync(realpathSync(from), to)
  } catch {
    copyFileSync(from, to)
  }
}

/** proc(5), /proc/PID/status */
function residentMegabytes(pid: number | undefined): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
