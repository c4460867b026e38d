import type { Labels, LockTarget } from '#protocol'
import type { Registry, Token } from '#registry'
import type { Mandate } from './mandate.js'

/*
 * To whom things belong that are not devices themselves: the labels of all that they are on or make, now or later. An
 * operator whose right is narrowed by labels needs it for each of these sets; the empty one is everybody's.
 */

const everybody: readonly Labels[] = [{}]

/** What is not known to be on certain devices only is everybody's. */
export function labelsUnderLock(target: LockTarget, registry: Registry): readonly Labels[] {
  if ('labels' in target) return [target.labels]
  if ('device' in target) return labelsOf(registry, target.device)
  if ('instance' in target) return labelsOf(registry, registry.instance(target.instance)?.device)
  if ('token' in target)
    return [...labelsOfToken(registry.token(target.token), registry), ...labelsHitBy(target, registry)]
  if (!('ek' in target)) return everybody
  const hit = labelsHitBy(target, registry)
  return hit.length > 0 ? hit : everybody
}

/** For an act on all that a lock of this target would be on. @throws ServerError ACT_NOT_ALLOWED */
export function requireTarget(target: LockTarget, mandate: Mandate, registry: Registry): void {
  mandate.requireAll(labelsUnderLock(target, registry), devicesUnderLock(target, registry))
}

/** The same as a question. */
export function includesTarget(target: LockTarget, mandate: Mandate, registry: Registry): boolean {
  return mandate.includesAll(labelsUnderLock(target, registry), devicesUnderLock(target, registry))
}

/** How many devices a lock is on; who comes from an address is not known before. */
function devicesUnderLock(target: LockTarget, registry: Registry): number {
  return 'addresses' in target ? Infinity : registry.locks.devicesHitBy(target).length
}

/** Of the devices that it makes, and of the one that it is for. */
export function labelsOfToken(
  token: Pick<Token, 'labels' | 'device'> | undefined,
  registry: Registry,
): readonly Labels[] {
  if (token === undefined) return everybody
  const known = token.device === undefined ? undefined : registry.device(token.device)
  return known === undefined ? [token.labels] : [token.labels, known.labels]
}

function labelsOf(registry: Registry, device: Parameters<Registry['device']>[0] | undefined): readonly Labels[] {
  const known = device === undefined ? undefined : registry.device(device)
  return known === undefined ? everybody : [known.labels]
}

function labelsHitBy(target: LockTarget, registry: Registry): readonly Labels[] {
  return registry.locks.devicesHitBy(target).flatMap((device) => labelsOf(registry, device))
}
