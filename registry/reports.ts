import { type InstanceId, type Labels, hasLabels, type RegistryEvent } from '#protocol'
import { instanceOf } from './known.js'
import type { RegistryState } from './state.js'

type ReportEvent = Extract<RegistryEvent, { readonly event: 'device.report' }>

/** What a machine says of itself, as it is recorded; undefined for one that is not known, or says what it has said before. */
export function reportOf(
  state: RegistryState,
  id: InstanceId,
  reported: Labels,
  peer: string | undefined,
): ReportEvent | undefined {
  const instance = state.instances.get(id)
  if (instance === undefined || isSame(instance.reported ?? {}, reported)) return undefined
  const { device } = instance
  return { event: 'device.report', device, instance: id, reported, ...(peer !== undefined && { peer }) }
}

export function applyReport(state: RegistryState, { instance, reported }: ReportEvent): void {
  state.instances.set(instance, { ...instanceOf(state, instance), reported })
}

function isSame(one: Labels, other: Labels): boolean {
  return hasLabels(one, other) && hasLabels(other, one)
}
