import type { AuditRecord, AuditTrail } from '#protocol'
import { type AuditQuery, matcherOf } from './query.js'
import type { LogReader } from './reader.js'

/** A log that may grow while it is read. */
type Growing = Pick<AuditTrail, 'durable' | 'onDurable' | 'onEnd'> & { readonly ended: boolean }

/**
 * The durable records that match, oldest first, and each new one, until the signal aborts or the log ends: behind
 * `after`, or from the first that is kept. One whom retention overtakes is not handed a hole.
 * @throws AuditError AUDIT_GONE
 */
export async function* follow(
  reader: LogReader,
  log: Growing,
  query: AuditQuery,
  signal?: AbortSignal,
): AsyncGenerator<AuditRecord, void> {
  const matches = matcherOf(query)
  let left = query.limit ?? Infinity
  const first = query.after === undefined ? await reader.first() : query.after + 1
  for (let next = first; left > 0 && !signal?.aborted;) {
    for await (const record of reader.forward(next, log.durable)) {
      if (signal?.aborted) return
      next = record.sequence + 1
      if (!matches(record)) continue
      yield record
      if (--left === 0) return
    }
    if (log.durable >= next) continue
    if (log.ended) return
    await change(log, signal)
  }
}

/** Something more is durable, the log has ended, or the signal aborts. */
async function change(log: Growing, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return
  const stops: (() => void)[] = []
  await new Promise<void>((resolve) => {
    stops.push(
      log.onDurable(() => resolve()),
      log.onEnd(resolve),
    )
    if (signal) {
      const aborted = () => resolve()
      signal.addEventListener('abort', aborted, { once: true })
      stops.push(() => signal.removeEventListener('abort', aborted))
    }
  })
  for (const stop of stops) stop()
}
