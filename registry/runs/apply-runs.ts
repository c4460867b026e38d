import type { DeviceId, RegistryEvent } from '#protocol'
import { instanceOf } from '../known.js'
import type { RegistryState } from '../state.js'
import { devicesOf, type Run } from './run.js'

type Event<Name extends RegistryEvent['event']> = Extract<RegistryEvent, { readonly event: Name }>

/** A job has shown its token: it is spent on these keys, and the run knows how many devices it has. */
export function recordRun(state: RegistryState, event: Event<'join.oidc'>): void {
  const { run: id, anchorHash, jobToken, tokenNotAfter, keySet, profile, count, notAfter } = event
  const { batches = [], notAfter: before = notAfter } = state.runs.get(id) ?? {}
  const isKnown = batches.some((batch) => batch.keySet === keySet && batch.profile === profile)
  state.runs.set(id, {
    id,
    anchorHash,
    batches: isKnown ? batches : [...batches, { keySet, profile, count }],
    notAfter: Math.max(before, notAfter),
  })
  forgetTokens(state, event.at)
  state.jobTokens.set(jobToken, { id: jobToken, keySet, run: id, notAfter: tokenNotAfter })
}

/** The devices of a run are known no more, and neither is anything that was kept of them. */
export function forgetRun(state: RegistryState, event: Event<'run.forget'>): void {
  const run = state.runs.get(event.run)
  forgetTokens(state, event.at)
  if (run === undefined) return
  for (const device of devicesOf(run)) if (isOnlyOf(state, run, device)) forgetDevice(state, device)
  state.runs.delete(run.id)
}

/** One that has joined some other way as well is no simulator any more. */
export function isOnlyOf(state: RegistryState, run: Run, id: DeviceId): boolean {
  const device = state.devices.get(id)
  return device !== undefined && device.anchors.every(({ kind, hash }) => kind === 'oidc' && hash === run.anchorHash)
}

function forgetDevice(state: RegistryState, id: DeviceId): void {
  for (const instance of state.devices.get(id)?.instances ?? []) {
    const { pending, current, previous, superseded } = instanceOf(state, instance)
    for (const certificate of [pending, current, previous, ...superseded]) {
      if (certificate !== undefined) state.certificates.delete(certificate)
    }
    state.instances.delete(instance)
  }
  state.attestations.delete(id)
  state.devices.delete(id)
}

/** Of tokens that could not be shown any more. Only events say what time it is, so that a replay forgets the same ones. */
function forgetTokens(state: RegistryState, at: number): void {
  for (const { id, notAfter } of state.jobTokens.values()) if (notAfter <= at) state.jobTokens.delete(id)
}
