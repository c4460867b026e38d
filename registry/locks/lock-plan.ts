import { type DeviceId, formatLockTarget, type LockTarget, type OperatorFacts, type RegistryEvent } from '#protocol'
import type { RegistryState } from '../state.js'
import { checkNewLock, type LockOrder } from './lock-order.js'

type LockAdded = Extract<RegistryEvent, { readonly event: 'lock.add' }>

/** Who orders, when, and how it is found out on whom. */
interface Ordering {
  readonly by: OperatorFacts
  /** Milliseconds since 1970. */
  readonly at: number
  readonly hitBy: (target: LockTarget) => readonly DeviceId[]
}

/**
 * What an order to lock comes to, on the devices that it hits now: the lock, and in the mode `revoke` the end of each of
 * them, in an event of its own.
 * @throws RegistryError LOCK_INVALID; ProtocolError INVALID_MESSAGE, INVALID_ID
 */
export function planLock(
  state: RegistryState,
  order: LockOrder,
  { by, at, hitBy }: Ordering,
): readonly [added: LockAdded, ...revoked: RegistryEvent[]] {
  checkNewLock(state, order, at)
  const { lock, target, mode, notAfter, reason } = order
  const hit = hitBy(target)
  const revision = state.epoch + 1
  const added: LockAdded = {
    event: 'lock.add',
    ...{ lock, mode, at, ...(notAfter !== undefined && { notAfter }), ...by, comment: reason },
    ...{ target: formatLockTarget(target), revision, devices: hit.length },
  }
  const ended = mode === 'revoke' ? hit.filter((device) => state.devices.get(device)?.state !== 'revoked') : []
  const revoked = ended.map((device, position): RegistryEvent => {
    const epoch = revision + 1 + position
    return { event: 'device.revoke', device, reason: 'unspecified', lock, at, epoch, ...by, comment: reason }
  })
  return [added, ...revoked]
}
