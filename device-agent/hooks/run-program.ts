import { spawn } from 'node:child_process'
import { AgentError } from '../errors.js'
import type { Command } from './hook.js'

/** What it says goes into a log that others write too. */
const mostLines = 100
const longestLine = 1000

export interface ProgramOptions {
  /** All that it gets. */
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutMs: number
  /** Ends it, too. */
  readonly stopped: AbortSignal
  /** Both of its outputs, a line at a time. */
  readonly heard: (line: string) => void
}

/**
 * Runs a program to its end, or to its time's end; then it goes with all that it has started, whether that listens or
 * not. @throws AgentError HOOK_FAILED
 */
export function runProgram([program, ...args]: Command, options: ProgramOptions): Promise<void> {
  const { environment: env, timeoutMs, stopped } = options
  return new Promise((resolve, reject) => {
    const fail = (problem: string, cause?: unknown): void => reject(new AgentError('HOOK_FAILED', problem, { cause }))
    const child = spawn(program, args, { env, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    const end = (): void => killGroup(child.pid)
    const timer = setTimeout(() => {
      fail(`${program} did not end within ${timeoutMs / 1000} s, and was ended`)
      end()
    }, timeoutMs)
    stopped.addEventListener('abort', end)
    if (stopped.aborted) end()
    const hear = boundedLines(options.heard)
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', hear)
    const settled = (): void => {
      clearTimeout(timer)
      stopped.removeEventListener('abort', end)
    }
    child.once('error', (cause) => {
      settled()
      fail(`${program} cannot be started: ${cause.message}`, cause)
    })
    // Not 'close': what it leaves running behind may hold its outputs open for ever.
    child.once('exit', (code, signal) => {
      settled()
      if (code === 0) return resolve()
      fail(`${program} ended with ${code === null ? String(signal) : `exit code ${code}`}`)
    })
  })
}

/** Cut where a line is too long, and silent when there have been enough of them; whoever writes never has to wait. */
function boundedLines(heard: (line: string) => void): (text: string) => void {
  let lines = 0
  let begun = ''
  return (text) => {
    const parts = (begun + text).split('\n')
    begun = parts.pop()?.slice(0, longestLine) ?? ''
    for (const line of parts) if (++lines <= mostLines) heard(line.slice(0, longestLine).replace(/\p{C}/gu, '�'))
  }
}

/** It leads a process group of its own. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // it has ended by itself
  }
}
