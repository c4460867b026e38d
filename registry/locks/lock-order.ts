import { formatLockTarget, type LockId, type LockMode, type LockTarget, parseLockTarget } from '#protocol'
import { RegistryError } from '../errors.js'
import type { RegistryState } from '../state.js'
import { holdsAddress } from './address-range.js'

/** A lock as its operator wants it. */
export interface LockOrder {
  readonly lock: LockId
  readonly target: LockTarget
  readonly mode: LockMode
  /** Milliseconds since 1970; without it, until it is removed. */
  readonly notAfter?: number
  readonly reason: string
}

/** Those on labels, roles, issuers and addresses have to be tried on every device, one by one. */
const limits = { locks: 10_000, triedLocks: 256 } as const

/** @throws RegistryError LOCK_INVALID; ProtocolError INVALID_MESSAGE, INVALID_ID */
export function checkLockTarget(target: LockTarget, mode: LockMode): void {
  parseLockTarget(formatLockTarget(target)) // so that it can be read back from the log
  if (!('addresses' in target)) return
  holdsAddress(target.addresses)
  if (mode === 'lock') return
  const problem = `an address says where a device is and not which: lock it, or ${mode} by another target`
  throw new RegistryError('LOCK_INVALID', problem)
}

/** @throws RegistryError LOCK_INVALID */
export function checkNewLock(state: RegistryState, { lock, target, mode, notAfter }: LockOrder, now: number): void {
  checkLockTarget(target, mode)
  if (state.locks.has(lock)) throw new RegistryError('LOCK_INVALID', `lock ${lock} exists`)
  if (state.locks.size >= limits.locks) throw new RegistryError('LOCK_INVALID', `at most ${limits.locks} locks`)
  const isTried = (on: LockTarget) => 'labels' in on || 'role' in on || 'issuer' in on || 'addresses' in on
  const tried = isTried(target) ? state.locks.values().filter((known) => isTried(known.target)).length : 0
  if (tried >= limits.triedLocks) {
    throw new RegistryError(
      'LOCK_INVALID',
      `at most ${limits.triedLocks} locks on labels, roles, issuers and addresses`,
    )
  }
  if (notAfter !== undefined && notAfter <= now) throw new RegistryError('LOCK_INVALID', 'it ends in the future')
}
