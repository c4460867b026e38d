import { randomBytes } from 'node:crypto'
import { type DeviceId, type LockId, type OperatorFacts, parseLockId } from '#protocol'
import type { Registry } from '#registry'

export function createLockId(): LockId {
  return parseLockId(`lock-${randomBytes(5).toString('hex')}`)
}

/**
 * Leaves a device no more than repair takes, from before this returns until an operator removes the lock; one that is in
 * quarantine already, or kept out, stays as it is.
 */
export function quarantine(registry: Registry, device: DeviceId, reason: string, by: OperatorFacts): void {
  if (registry.locks.isQuarantined(device) || registry.locks.keepsOut(device)) return
  registry.addLock({ lock: createLockId(), target: { device }, mode: 'quarantine', reason }, by)
}
