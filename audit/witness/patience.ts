/**
 * Work that is told to stop after so long, or when `stopping` says so. The signal is one that this call holds on to: Node
 * 20 lets go of one made by AbortSignal.any, and with it of the time limit, while something still waits for it.
 */
export async function within<T>(
  milliseconds: number,
  stopping: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController()
  const stop = (): void => limit.abort()
  const timer = setTimeout(stop, milliseconds)
  if (stopping?.aborted) stop()
  stopping?.addEventListener('abort', stop)
  try {
    return await work(limit.signal)
  } finally {
    clearTimeout(timer)
    stopping?.removeEventListener('abort', stop)
  }
}
