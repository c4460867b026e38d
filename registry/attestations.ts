import { decodeHex, type DeviceId, encodeHex, type InstanceId, type PcrVerdict, type RegistryEvent } from '#protocol'
import { instanceOf } from './known.js'
import type { RegistryState } from './state.js'

/** Whose PCRs were judged, and how. */
export interface Attested {
  readonly device: DeviceId
  readonly instance: InstanceId
  readonly verdict: PcrVerdict
  readonly peer?: string
}

type AttestEvent = Extract<RegistryEvent, { readonly event: 'device.attest' }>

/** The verdict as it is recorded. */
export function attestationOf({ device, instance, verdict, peer }: Attested, at: number): AttestEvent {
  const { policy, outcome, reasons, pcrs, eventLog } = verdict
  return {
    event: 'device.attest',
    ...{ device, instance },
    ...(policy !== undefined && { pcrPolicy: policy.name, policyVersion: policy.version, mode: policy.mode }),
    ...{ outcome, reasons },
    pcrs: Object.fromEntries(Object.entries(pcrs).map(([pcr, value]) => [pcr, encodeHex(value)])),
    ...(eventLog !== undefined && { eventLog }),
    at,
    ...(peer !== undefined && { peer }),
  }
}

/** The newest is kept, and since how many promotions it is: by that it is known when the next one is due. */
export function applyAttestation(state: RegistryState, event: AttestEvent): void {
  const { device, instance, pcrPolicy: name, policyVersion: version, mode, outcome, reasons, eventLog, at } = event
  const { generation } = instanceOf(state, instance)
  const isJudged = name !== undefined && version !== undefined && mode !== undefined
  state.attestations.set(device, {
    ...{ device, instance, generation, at, outcome, reasons },
    ...(isJudged && { policy: { name, version, mode } }),
    pcrs: Object.fromEntries(Object.entries(event.pcrs).map(([pcr, value]) => [pcr, decodeHex(value)])),
    ...(eventLog !== undefined && { eventLog }),
  })
}
