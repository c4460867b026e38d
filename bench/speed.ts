/** How often in a second something can be done, after a warm-up that does not count. */
export async function perSecond(seconds: number, work: (turn: number) => void | Promise<void>): Promise<number> {
  await measured(seconds / 4, work)
  return measured(seconds, work)
}

/** In batches, so that looking at the clock costs nothing. */
async function measured(seconds: number, work: (turn: number) => void | Promise<void>): Promise<number> {
  const start = performance.now()
  let done = 0
  for (let batch = 1; ; batch = Math.min(2 * batch, largestBatch)) {
    for (const end = done + batch; done < end; done++) {
      const pending = work(done)
      if (pending !== undefined) await pending
    }
    const elapsed = (performance.now() - start) / 1000
    if (elapsed >= seconds) return done / elapsed
  }
}

const largestBatch = 4096
