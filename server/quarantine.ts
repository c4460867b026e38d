import { randomBytes } from 'node:crypto'
import { type DeviceId, type LockId, type LockTarget, type OperatorFacts, parseLockId } from '#protocol'
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

/** Keeps out whom a target is on, as quarantine does; where the device that it is about is kept out already, all stays as it is. */
export function lockOut(
  registry: Registry,
  target: LockTarget,
  { device, reason }: { readonly device: DeviceId; readonly reason: string },
  by: OperatorFacts,
): void {
  if (registry.locks.keepsOut(device)) return
  registry.addLock({ lock: createLockId(), target, mode: 'lock', reason }, by)
}
