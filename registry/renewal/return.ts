import { type InstanceId, parseLockId } from '#protocol'
import type { Locking } from '../locks/locks.js'
import { ourselves } from '../ourselves.js'
import type { Registrar } from '../registrar.js'

/**
 * Leaves an enrollment that comes back after its certificate was over no more than repair takes, until an operator has
 * looked; undefined where that is so already.
 */
export function returnInQuarantine({ state, locks }: Registrar, instance: InstanceId): Locking | undefined {
  const isOnIt = locks.acting.some(({ target }) => 'instance' in target && target.instance === instance)
  if (isOnIt) return undefined
  const lock = parseLockId(`return-${state.epoch + 1}`)
  const reason = 'its certificate had expired when it came back, and its key is in a file: look, and remove this lock'
  return locks.add({ lock, target: { instance }, mode: 'quarantine', reason }, ourselves)
}
