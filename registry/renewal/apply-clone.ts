import type { RegistryEvent } from '#protocol'
import { instanceOf } from '../known.js'
import type { RegistryState } from '../state.js'

type CloneEvent = Extract<RegistryEvent, { readonly event: 'device.clone' }>

/** Stays until the device joins anew: whoever removes the lock is not the last who wants to know. */
export function applyClone(state: RegistryState, event: CloneEvent): void {
  const { sign, lock, at, presentedSerial, peer } = event
  const clone = { sign, lock, at, presentedSerial, ...(peer !== undefined && { peer }) }
  state.instances.set(event.instance, { ...instanceOf(state, event.instance), clone })
}
