import { readFile, stat } from 'node:fs/promises'
import { messageOf } from '#protocol'
import { AgentError } from '../errors.js'
import type { HookSignal } from './hook.js'

/**
 * Signals the process that a pid file names. Whoever may write that file chooses who is signalled with our rights: so it
 * must be ours or root's, or name a process of whoever it belongs to. @throws AgentError HOOK_FAILED
 */
export async function signalProcess(signal: HookSignal, pidFile: string): Promise<void> {
  try {
    const { uid, mode } = await stat(pidFile)
    if ((mode & 0o002) !== 0) throw failed(`${pidFile} can be written by everybody`)
    const pid = Number((await readFile(pidFile, 'utf8')).trim())
    if (!Number.isSafeInteger(pid) || pid < 2) throw failed(`${pidFile} holds no process id`)
    const isTrusted = uid === 0 || uid === process.getuid?.()
    if (!isTrusted && (await stat(`/proc/${pid}`)).uid !== uid) {
      throw failed(`${pidFile} names a process of another user than its own`)
    }
    process.kill(pid, signal)
  } catch (cause) {
    if (cause instanceof AgentError) throw cause
    throw failed(`${signal} to the process of ${pidFile}: ${messageOf(cause)}`, cause)
  }
}

function failed(problem: string, cause?: unknown): AgentError {
  return new AgentError('HOOK_FAILED', problem, { cause })
}
