import type { DeviceId, Fingerprint, InstanceId, TokenId } from '#protocol'
import { RegistryError } from './errors.js'
import type { CertificateRecord, Device, Instance, RegistryState, Token } from './state.js'

/* What an event is about and that must be there, or the event does not follow from those before it. */

/** @throws RegistryError REGISTRY_CORRUPT, as do the others */
export function deviceOf(state: RegistryState, id: DeviceId): Device {
  return state.devices.get(id) ?? fail(`device ${id} is not known`)
}

export function instanceOf(state: RegistryState, id: InstanceId): Instance {
  return state.instances.get(id) ?? fail(`instance ${id} is not known`)
}

export function certificateOf(state: RegistryState, fingerprint: Fingerprint): CertificateRecord {
  return state.certificates.get(fingerprint) ?? fail(`certificate ${fingerprint} is not known`)
}

export function tokenOf(state: RegistryState, id: TokenId): Token {
  return state.tokens.get(id) ?? fail(`token ${id} is not known`)
}

export function corrupt(problem: string): RegistryError {
  return new RegistryError('REGISTRY_CORRUPT', `an event does not follow from those before it: ${problem}`)
}

function fail(problem: string): never {
  throw corrupt(problem)
}
