import type { Broker } from '#broker'
import { messageOf } from '#protocol'
import type { Registry } from '#registry'

const lookEveryMilliseconds = 30_000

export interface RunExpiryOptions {
  readonly registry: Pick<Registry, 'runs'>
  readonly broker: Pick<Broker, 'sessions' | 'kick'>
  readonly warn: (sentence: string) => void
}

/** Lets simulated devices go whose time is over, and what the broker keeps for them. Returns the way to stop. */
export function startRunExpiry(options: RunExpiryOptions): () => void {
  const timer = setInterval(() => void forgetRuns(options), lookEveryMilliseconds).unref()
  return () => clearInterval(timer)
}

/** One look. What cannot be recorded is looked at again. */
export async function forgetRuns({ registry, broker, warn }: RunExpiryOptions): Promise<void> {
  try {
    const forgotten = new Set(await registry.runs.forgetDue())
    if (forgotten.size === 0) return
    const left = broker.sessions().filter(({ device }) => forgotten.has(device))
    for (const { clientId } of left) broker.kick(clientId, { forget: true })
  } catch (error) {
    warn(`simulated devices whose time is over are still known: ${messageOf(error)}`)
  }
}
