import { homedir } from 'node:os'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { main } from '#device-agent'
import type { Tpm } from '#tpm'
import { onClosedOutput } from './closed-output.js'
import { readVersion } from './version.js'

/** How long a service that has stopped waits for what it has asked and does not need any more. */
const hangingMs = 2_000

/** Runs the agent in this process: its arguments, its environment, its signals. */
export async function runAgent(openTpm: (spec: string) => Promise<Tpm>): Promise<void> {
  const stopped = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort())

  const isService = process.argv[2] === 'run'
  onClosedOutput(() => isService || process.exit())
  process.exitCode = await main(process.argv.slice(2), {
    openTpm,
    version: readVersion(),
    environment: takeEnvironment(),
    home: homedir(),
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    readInput: () => text(process.stdin),
    readLines: () => createInterface({ input: process.stdin }),
    stopped: stopped.signal,
  })
  process.stdin.destroy() // whoever still holds the other end must not keep us
  if (isService) setTimeout(() => process.exit(), hangingMs).unref() // and neither must a TPM that hangs
}

/** As it was given to us. What we start has no need of our token (its own `/proc/PID/environ` shows it all the same). */
function takeEnvironment(): NodeJS.ProcessEnv {
  const given = { ...process.env }
  delete process.env['TOUCHMARK_TOKEN']
  return given
}
