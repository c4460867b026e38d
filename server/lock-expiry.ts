import type { Registry } from '#registry'

const lookEveryMilliseconds = 1000

/**
 * Ends the locks whose time is over. One that cannot be recorded as ended goes on, and is looked at again. Returns the
 * way to stop.
 */
export function startExpiry(registry: Pick<Registry, 'expireLocks'>, warn: (sentence: string) => void): () => void {
  let isTold = false
  const look = async (): Promise<void> => {
    try {
      await registry.expireLocks()
      isTold = false
    } catch (error) {
      if (!isTold) warn(`a lock whose time is over goes on: ${error instanceof Error ? error.message : String(error)}`)
      isTold = true
    }
  }
  const timer = setInterval(() => void look(), lookEveryMilliseconds).unref()
  return () => clearInterval(timer)
}
