import { once } from 'node:events'
import { CommanderError } from 'commander'
import { BackupError } from '#backup'
import { CodedError } from '#protocol'
import { readConfig, type ServerConfig } from './config.js'
import { ServerError } from './errors.js'
import { adviceFor } from './files.js'
import { greet } from './greeting.js'
import { runRestore } from './restore-command.js'
import { openWhenThereIsRoom } from './room.js'

/**
 * `touchmark up` runs until a signal ends it, `touchmark restore` until it is done. The exit code is 0 when it ended in
 * order, 1 when not, 2 for bad usage, 8 for a backup that is none.
 */
export async function main(argv: readonly string[], version: string): Promise<number> {
  try {
    const [command, ...options] = argv
    if (command === 'restore') process.stdout.write(await runRestore(options, process.env))
    else await run(readConfig(options, process.env, version))
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    process.stderr.write(`touchmark: ${describe(error)}\n`)
    if (error instanceof BackupError) return 8
    return error instanceof ServerError && error.code === 'CONFIG_INVALID' ? 2 : 1
  }
}

async function run(config: ServerConfig): Promise<void> {
  const stopping = stopSignal() // before anything is opened, so that a signal in the middle closes it again
  const surroundings = { now: Date.now, elapsed: () => performance.now(), warn }
  const server = await openWhenThereIsRoom(config, surroundings, stopping)
  if (!server) return
  process.stdout.write(greet(server, config))
  if (!stopping.aborted) await once(stopping, 'abort')
  if (config.output === 'text') process.stdout.write('Stopping …\n')
  await server.close()
  if (config.output === 'text') process.stdout.write('Stopped; everything is on disk.\n')
}

function warn(sentence: string): void {
  process.stderr.write(`touchmark: ${sentence}\n`)
}

/** The first signal ends the service in order; a second one at once. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController()
  const stop = () => {
    if (stopping.signal.aborted) process.exit(1)
    stopping.abort()
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  return stopping.signal
}

/** What happened, what to do about it where we know, and the code to search for. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const advice = adviceFor(error)
  const known = advice !== undefined && !error.message.includes(advice) ? ` (${advice})` : ''
  return error instanceof CodedError ? `${error.message}${known} [${error.code}]` : `${error.message}${known}`
}
