import { setTimeout } from 'node:timers/promises'
import { isDiskFull } from '#protocol'
import type { ServerConfig } from './config.js'
import { serveHealth } from './health.js'
import { type OpenServer, openServer } from './wire.js'
import type { Surroundings } from './wiring.js'

/** So long after it found no room a service tries again to start. */
const againAfterMs = 5000

/**
 * Opens the service; where the disk has no room for that, as soon as it has. Until then nobody is let in, and health says
 * why: it comes back by itself, as one that ran when the disk became full.
 * @returns undefined when it was stopped before
 */
export async function openWhenThereIsRoom(
  config: ServerConfig,
  surroundings: Surroundings,
  stopping: AbortSignal,
): Promise<OpenServer | undefined> {
  for (let tries = 0; ; tries++) {
    try {
      return await openServer(config, surroundings)
    } catch (error) {
      if (!isDiskFull(error)) throw error
      const problem = `the disk is full: ${error.message}`
      if (tries === 0) surroundings.warn(`${problem}. It starts as soon as there is room`)
      await beUnready(config, problem, stopping)
      if (stopping.aborted) return undefined
    }
  }
}

async function beUnready(
  { healthHost: host, healthPort: port }: ServerConfig,
  problem: string,
  signal: AbortSignal,
): Promise<void> {
  const health = await serveHealth({ host, port }, [{ name: 'disk', problem: () => problem }])
  await setTimeout(againAfterMs, undefined, { signal }).catch(() => undefined)
  await health.close()
}
