import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isSystemError } from './disk.js'
import { AgentError } from './errors.js'

/** Held by the one agent that may change a state folder. */
export interface FolderLock {
  release(): Promise<void>
}

/**
 * Takes the folder for this process, or says who has it. A lock whose process is gone (killed, power cut) is taken over.
 * @throws AgentError STATE_LOCKED, STATE_FAILED
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = join(folder, 'agent.lock')
  const mine = `${process.pid} ${await startOf(process.pid)} ${randomUUID()}\n`
  await ensureFolder(folder)
  if (!(await createExclusively(path, mine))) {
    await removeStale(path)
    if (!(await createExclusively(path, mine))) throw locked(folder, await contentOf(path))
  }
  return {
    release: async () => {
      if ((await contentOf(path)) === mine) await rm(path, { force: true })
    },
  }
}

/** Whether an agent works in the folder now. */
export async function isLocked(folder: string): Promise<boolean> {
  const content = await contentOf(join(folder, 'agent.lock'))
  return content !== undefined && isHeld(content)
}

/** Moves a dead process's lock away; never that of a living one, even when two agents do this at once. */
async function removeStale(path: string): Promise<void> {
  const seen = await contentOf(path)
  if (seen === undefined) return
  if (await isHeld(seen)) throw locked(dirname(path), seen)
  const aside = `${path}.${randomUUID()}`
  await rename(path, aside).catch(ignoreAbsence)
  const moved = await contentOf(aside)
  // Between our look and our rename another agent may have taken over: then this is its lock, and goes back.
  if (moved !== undefined && moved !== seen) await link(aside, path).catch(() => undefined)
  await rm(aside, { force: true })
}

/** A process id alone can have been given to another process since; with its start time it names one process. */
async function isHeld(content: string): Promise<boolean> {
  const [pid, start] = content.split(' ')
  const id = Number(pid)
  if (!Number.isSafeInteger(id) || id <= 0) return false
  try {
    process.kill(id, 0)
  } catch (error) {
    if (isSystemError(error) && error.code === 'ESRCH') return false
  }
  return start === (await startOf(id))
}

/** Start time in ticks since boot and the boot's id, from /proc; a dash where there is none. */
async function startOf(pid: number): Promise<string> {
  const stat = await contentOf(`/proc/${pid}/stat`)
  const boot = await contentOf('/proc/sys/kernel/random/boot_id')
  if (stat === undefined || boot === undefined) return '-'
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // proc(5): the name before it can hold anything
  return `${fields[19] ?? '-'}@${boot.trim()}`
}

/** Written beside its place and then linked there: a lock that is seen has its content, and is never taken for a dead one. */
async function createExclusively(path: string, content: string): Promise<boolean> {
  const beside = `${path}.${randomUUID()}`
  try {
    await writeFile(beside, content, { flag: 'wx', mode: 0o600 })
    await link(beside, path)
    return true
  } catch (cause) {
    if (isSystemError(cause) && cause.code === 'EEXIST') return false
    throw new AgentError('STATE_FAILED', `${path}: cannot be written; name a writable folder with --data`, { cause })
  } finally {
    await rm(beside, { force: true })
  }
}

async function ensureFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new AgentError('STATE_FAILED', `${folder}: cannot be made; name a writable folder with --data`, { cause })
  }
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return undefined
  }
}

function ignoreAbsence(error: unknown): void {
  if (!isSystemError(error) || error.code !== 'ENOENT') throw error
}

function locked(folder: string, content: string | undefined): AgentError {
  const pid = content?.split(' ')[0] ?? 'unknown'
  const problem = `${folder} is in use by another agent (process ${pid}); stop that one, or name another folder with --data`
  return new AgentError('STATE_LOCKED', problem)
}
