import { hostname } from 'node:os'
import type { AuditLog } from '#audit'
import { type Broker, LockFollower, type LockLease } from '#broker'
import { CodedError } from '#protocol'
import type { LockChange, Registry } from '#registry'

interface FollowLocksOptions {
  readonly broker: Broker
  readonly lease: LockLease
  readonly registry: Registry
  readonly audit: AuditLog
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
}

/** Has the broker of this process act on every change of who is kept out, on record. Returns the way to stop. */
export function followLocks({ broker, lease, registry, audit, elapsed }: FollowLocksOptions): () => void {
  const apply = ({ revision, ...change }: LockChange) => {
    const ended = broker.applyLocks(change)
    try {
      audit.append({ event: 'lock.applied', node: hostname(), revision, ...ended })
    } catch (error) {
      if (!(error instanceof CodedError)) throw error // it acts, whether that can be recorded or not
    }
    return ended
  }
  const follower = new LockFollower({ lease, apply, elapsed })
  const hold = registry.locks.follow('local', (change, { applied }) => follower.take(change, applied), lease.terms)
  // The feed is in this process, and yet the lease is renewed as it will be from elsewhere.
  const beat = async (): Promise<void> => {
    await follower.beat(async (revision) => hold.renew(revision))
    broker.leaseLooked()
  }
  void beat() // the lease began before the sessions were restored, however long that took
  const timer = setInterval(() => void beat(), lease.terms.renewEveryMilliseconds).unref()
  return () => {
    clearInterval(timer)
    hold.release()
  }
}
