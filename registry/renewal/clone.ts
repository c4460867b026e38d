import { type CloneSign, parseLockId } from '#protocol'
import { RegistryError } from '../errors.js'
import { ourselves } from '../ourselves.js'
import type { Registrar } from '../registrar.js'
import type { RenewalClone } from './plan.js'

const signs: Readonly<Record<CloneSign, string>> = {
  previous: 'a certificate was shown that had been replaced and used, with a key that its successor is not for',
  keys: 'for the second time within a day another key asked for the place of one that waits',
}

/**
 * Keeps out the one enrollment of which there are two copies, and ends its sessions, before this returns; its siblings
 * stay. Always rejects, when that is on record. @throws RegistryError CLONE_SUSPECTED
 */
export async function lockClone(registrar: Registrar, clone: RenewalClone, peer: string | undefined): Promise<never> {
  const { state, locks, now } = registrar
  const { sign, presented, asked, certificate } = clone
  const { device, instance } = certificate
  const lock = parseLockId(`clone-${state.epoch + 1}`)
  const found = registrar.shut({
    event: 'device.clone',
    ...{ device, instance, sign, lock, at: now() },
    ...{ presentedSerial: presented.serial, spkiHash: asked.spkiHash },
    ...(peer !== undefined && { peer }),
  })
  registrar.tell({ kind: 'cloned', device })
  const reason = `there may be two copies of this machine: ${signs[sign]}`
  const locking = locks.add({ lock, target: { instance }, mode: 'lock', reason }, ourselves)
  await Promise.all([found.recorded, locking.recorded])
  throw new RegistryError('CLONE_SUSPECTED', `certificate ${presented.serial} of ${device}: ${signs[sign]}`)
}
