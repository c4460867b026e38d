import type { DeviceIdentity, Fingerprint } from '#protocol'
import { RegistryError } from '../errors.js'
import type { CertificateRecord, Instance, RegistryState } from '../state.js'

/** The line of certificates that a presented one stands in. */
export interface Line {
  /** The one presented. */
  readonly certificate: CertificateRecord
  readonly instance: Instance
  readonly current: CertificateRecord | undefined
  /** Waits for its first use. One that was never used is no more when its time is over. */
  readonly pending: CertificateRecord | undefined
  /** The newest that was issued, in use, waiting, or over. */
  readonly last: CertificateRecord | undefined
}

/** @throws RegistryError UNKNOWN_CERTIFICATE, DEVICE_REVOKED */
export function lineOf(state: RegistryState, presented: DeviceIdentity, now: number): Line {
  const certificate = state.certificates.get(presented.fingerprint)
  const instance = certificate && state.instances.get(certificate.instance)
  if (instance === undefined || certificate?.device !== presented.deviceId) {
    throw new RegistryError('UNKNOWN_CERTIFICATE', `certificate ${presented.serial} was not issued here`)
  }
  if (state.devices.get(certificate.device)?.state === 'revoked') {
    const problem = `certificate ${presented.serial} belongs to ${certificate.device}, which was revoked`
    throw new RegistryError('DEVICE_REVOKED', problem)
  }
  const known = (fingerprint: Fingerprint | undefined) => fingerprint && state.certificates.get(fingerprint)
  const current = known(instance.current)
  const newest = known(instance.pending)
  const pending = newest !== undefined && newest.notAfter > now ? newest : undefined
  return { certificate, instance, current, pending, last: newest ?? current }
}
