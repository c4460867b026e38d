import { hostname } from 'node:os'
import type { AuditLog } from '#audit'
import type { Broker } from '#broker'
import { CodedError } from '#protocol'
import type { Registry } from '#registry'

/** Has the broker of this process act on every change of who is kept out, on record. Returns the way to stop. */
export function followLocks(broker: Broker, registry: Registry, audit: AuditLog): () => void {
  const lease = registry.locks.follow('local', ({ revision, ...change }, { applied }) => {
    const ended = broker.applyLocks(change)
    applied(revision, ended)
    try {
      audit.append({ event: 'lock.applied', node: hostname(), revision, ...ended })
    } catch (error) {
      if (!(error instanceof CodedError)) throw error // it acts, whether that can be recorded or not
    }
  })
  return lease.release
}
