import type { LockId, LockMode, LockTarget } from '../lock.js'
import type { OperatorName } from '../ids.js'
import type { Enforcement } from './enforcement.js'

/** A lock that acts. */
export interface LockView {
  readonly id: LockId
  readonly target: LockTarget
  readonly mode: LockMode
  /** Only of `quarantine`, where the policy in force names no role for it: then it keeps out as a lock does. */
  readonly actsAs?: 'lock'
  readonly reason: string
  readonly by: OperatorName
  readonly at: string
  /** When it ends by itself; absent for one that is to be removed. */
  readonly notAfter?: string
  readonly revision: number
  /** Known devices that it is on now. */
  readonly devices: number
}

export interface LockRequest {
  readonly target: LockTarget
  /** Default: lock */
  readonly mode?: LockMode
  /** At most a year. Default: until it is removed */
  readonly ttlSeconds?: number
  /** Why, for the audit log and for whoever finds the lock. */
  readonly reason: string
  /** Only count what it would be on. */
  readonly dryRun?: boolean
}

export interface LockAnswer extends Enforcement {
  /** Absent after a dry run. */
  readonly lock?: LockView
  readonly dryRun: boolean
  /** Known devices that it is on. */
  readonly devices: number
}
