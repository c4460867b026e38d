import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const touchmark = fileURLToPath(new URL('../../bin/touchmark.js', import.meta.url))
/** Options under which nothing that a test starts is in another's way. */
export const freePorts = [
  '--host',
  '127.0.0.1',
  '--https-port',
  '0',
  '--mqtt-port',
  '0',
  '--websocket-port',
  '0',
  '--health-port',
  '0',
]

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Ready {
  readonly firstRun: boolean
  readonly ports: { readonly https: number; readonly mqtt: number; readonly websocket: number; readonly health: number }
  readonly addresses: { readonly wss: string }
  readonly joinUri: string
  readonly token?: string
}

export interface Running {
  readonly ready: Ready
  readonly child: ChildProcess
  /** Ends it in order; the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Who still runs in a test's folder; ended before the folder goes. */
const runningIn = new Map<string, Set<ChildProcess>>()

/** A folder of the test's own, that is gone afterwards, with all that runs in it. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'touchmark-server-'))
  const running = new Set<ChildProcess>()
  runningIn.set(folder, running)
  t.after(async () => {
    for (const child of running) await killed(child)
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** Runs the executable to its end. */
export async function run(
  folder: string,
  args: readonly string[],
  { onSpawn, ...options }: { readonly uid?: number; readonly onSpawn?: (child: ChildProcess) => void } = {},
): Promise<Finished> {
  const child = spawn(process.execPath, [touchmark, ...args], { env: environment(folder), timeout: 20_000, ...options })
  onSpawn?.(child)
  child.stdin.end()
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code: code as number | null, stdout, stderr }
}

/** `touchmark up` on free ports; resolves when it says that it is ready. */
export async function up(folder: string, args: readonly string[] = []): Promise<Running> {
  const child = spawn(process.execPath, [touchmark, 'up', '-o', 'json', ...freePorts, ...args], {
    env: environment(folder),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  runningIn.get(folder)?.add(child)
  const ended = once(child, 'close')
  const errors = text(child.stderr)
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal)
    await ended
    return child.exitCode
  }
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line) as Ready & { event: string }
    if (message.event === 'ready') return { ready: message, child, stop }
  }
  throw new Error(`touchmark up ended before it was ready: ${await errors}`)
}

/** What a person reads until the service is ready; then it is ended. */
export async function upForPeople(folder: string): Promise<string> {
  const child = spawn(process.execPath, [touchmark, 'up', ...freePorts], { env: environment(folder), stdio: 'pipe' })
  const ended = once(child, 'close')
  runningIn.get(folder)?.add(child)
  let said = ''
  for await (const line of createInterface({ input: child.stdout })) {
    said += `${line}\n`
    if (line === 'ready') child.kill()
  }
  await ended
  return said
}

/** Arguments of `touchmark up` that take free ports. */
export const upOnFreePorts = ['up', '-o', 'json', ...freePorts] as const

function environment(folder: string): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: folder, TOUCHMARK_HOME: join(folder, 'data'), NO_COLOR: '1' }
}
