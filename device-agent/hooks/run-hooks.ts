import type { IssuedGeneration } from '../generation.js'
import { AgentError } from '../errors.js'
import type { Journal } from '../journal.js'
import { type Hook, nameOf } from './hook.js'
import { runProgram } from './run-program.js'
import { signalProcess } from './signal-process.js'

export interface HookSurroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stopped: AbortSignal
  readonly log: Journal
}

/** One after the other, each whatever became of those before. Gives what failed, in words. */
export async function runHooks(
  hooks: readonly Hook[],
  generation: IssuedGeneration,
  surroundings: HookSurroundings,
): Promise<readonly string[]> {
  const problems: string[] = []
  for (const hook of hooks) {
    try {
      await runHook(hook, generation, surroundings)
      surroundings.log('hook done', { hook: nameOf(hook) })
    } catch (error) {
      if (!(error instanceof AgentError)) throw error
      surroundings.log('hook failed', { hook: nameOf(hook), message: error.message })
      problems.push(error.message)
    }
  }
  return problems
}

async function runHook(
  hook: Hook,
  { facts, folder, number }: IssuedGeneration,
  { environment, stopped, log }: HookSurroundings,
): Promise<void> {
  if (hook.kind === 'signal') return signalProcess(hook.signal, hook.pidFile)
  await runProgram(hook.command, {
    environment: {
      PATH: environment['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      TOUCHMARK_DEVICE: facts.deviceId,
      TOUCHMARK_GENERATION: String(number),
      TOUCHMARK_FOLDER: folder,
      TOUCHMARK_NOT_AFTER: facts.notAfter.toISOString(),
    },
    timeoutMs: hook.timeoutSeconds * 1000,
    heard: (line) => log('hook says', { hook: nameOf(hook), line }),
    stopped,
  })
}
