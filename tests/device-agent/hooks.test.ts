import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { decodeHook, type Hook } from '../../device-agent/hooks/hook.js'
import { runHooks } from '../../device-agent/hooks/run-hooks.js'
import { runProgram } from '../../device-agent/hooks/run-program.js'
import { signalProcess } from '../../device-agent/hooks/signal-process.js'
import { issuedGeneration } from './issued-generation.js'
import { temporaryFolder } from './temporary-folder.js'

const generation = await issuedGeneration()

/** Runs hooks with nothing but PATH and a secret around them. */
async function run(...hooks: readonly Hook[]) {
  const journal: string[] = []
  const environment = { PATH: process.env['PATH'], TOUCHMARK_TOKEN: 'tm1.one.secret' }
  const log = (event: string, facts: object = {}): void => void journal.push(`${event} ${JSON.stringify(facts)}`)
  const problems = await runHooks(hooks, generation, { environment, stopped: new AbortController().signal, log })
  return { problems, journal }
}

const program = (command: string, ...args: readonly string[]): Hook => ({
  kind: 'run',
  command: [command, ...args],
  timeoutSeconds: 60,
})

test('a hook is a program with arguments, without a shell, and hears of the certificate but of no secret', async (t) => {
  const folder = temporaryFolder(t)
  const { problems, journal } = await run(program('sh', '-c', `env > ${folder}/env; echo "$1"`, 'sh', '$(id) ; "x"'))
  assert.deepEqual(problems, [])
  const environment = readFileSync(join(folder, 'env'), 'utf8')
  assert.match(environment, /^TOUCHMARK_DEVICE=gate-7$/m)
  assert.doesNotMatch(environment, /secret/)
  assert.match(journal.join('\n'), /hook says .*\$\(id\) ; \\"x\\"/)
})

test('each hook runs whatever became of those before, and what failed is told', async (t) => {
  const folder = temporaryFolder(t)
  const { problems } = await run(
    program(join(folder, 'not-there')),
    program('sh', '-c', 'exit 3'),
    program('sh', '-c', 'kill -9 $$'),
    program('touch', join(folder, 'reached')),
  )
  assert.match(problems[0] ?? '', /not-there cannot be started/)
  assert.match(problems[1] ?? '', /exit code 3/)
  assert.match(problems[2] ?? '', /SIGKILL/)
  assert.equal(problems.length, 3)
  assert.ok(existsSync(join(folder, 'reached')))
})

test('a hook that hangs, and listens to nothing, is ended with what it has started', async () => {
  const script = `trap '' TERM INT; sleep 1000 & echo $!; wait; sleep 1000`
  const stopping = new AbortController()
  let child = 0
  const heard = (line: string): void => {
    child = Number(line)
    stopping.abort()
  }
  const environment = { PATH: process.env['PATH'] ?? '' }
  const running = runProgram(['sh', '-c', script], { environment, stopped: stopping.signal, timeoutMs: 60_000, heard })
  await assert.rejects(running, { code: 'HOOK_FAILED' })
  assert.ok(child > 0)
  while (isAlive(child)) await new Promise((resolve) => setImmediate(resolve))
})

test('a hook that has had its time is ended', async () => {
  const options = { environment: { PATH: process.env['PATH'] ?? '' }, stopped: new AbortController().signal }
  const running = runProgram(['sleep', '1000'], { ...options, timeoutMs: 1, heard: () => undefined })
  await assert.rejects(running, { code: 'HOOK_FAILED', message: /did not end within/ })
})

test('a hook that floods its output costs a bounded log and no memory', async () => {
  const { problems, journal } = await run(program('sh', '-c', 'yes | head -c 5000000; head -c 5000000 /dev/zero'))
  assert.deepEqual(problems, [])
  assert.ok(journal.length <= 110, `${journal.length} lines`)
  assert.ok(journal.every((line) => line.length < 2000))
})

test('a process is signalled by its pid file', async (t) => {
  const folder = temporaryFolder(t)
  const child = spawn('sh', ['-c', 'trap "exit 7" HUP; echo ready; while :; do sleep 0.05; done'])
  await once(child.stdout, 'data')
  writeFileSync(join(folder, 'pid'), `${child.pid}\n`)
  const exited = once(child, 'exit')
  await signalProcess('SIGHUP', join(folder, 'pid'))
  assert.deepEqual(await exited, [7, null])
})

test('a pid file that everybody can write, or that names no process, signals nobody', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'pid')
  writeFileSync(file, String(process.pid))
  chmodSync(file, 0o666)
  await assert.rejects(signalProcess('SIGTERM', file), { code: 'HOOK_FAILED' })
  for (const content of ['', '0', '1', '-1', '-2', '1e3x', '4194304999', 'x']) {
    writeFileSync(file, content)
    chmodSync(file, 0o600)
    await assert.rejects(signalProcess('SIGTERM', file), { code: 'HOOK_FAILED' }, content)
  }
  await assert.rejects(signalProcess('SIGTERM', join(folder, 'none')), { code: 'HOOK_FAILED' })
})

test('settings say either what to run or whom to signal', () => {
  assert.deepEqual(decodeHook({ run: ['true'] }, ''), { kind: 'run', command: ['true'], timeoutSeconds: 30 })
  for (const wrong of [
    {},
    { run: [] },
    { run: [''] },
    { run: 'systemctl reload mosquitto' },
    { signal: 'SIGHUP' },
    { signal: 'SIGKILL', pidFile: '/run/x.pid' },
    { run: ['true'], pidFile: '/run/x.pid' },
    { run: ['true'], timeoutSeconds: 0 },
    { run: ['true'], shell: true },
  ]) {
    assert.throws(() => decodeHook(wrong, 'hooks[0]'), { code: 'INVALID_MESSAGE' })
  }
})

function isAlive(pid: number): boolean {
  try {
    // A zombie whose parent does not look is gone all the same.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
