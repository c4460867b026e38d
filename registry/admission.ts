import type { CertificateHolder } from '#protocol'
import type { Device, RegistryState } from './state.js'

/** Whether a certificate opens anything now. A refusal is part of normal life and therefore a value. */
export type Admission =
  | {
      readonly admitted: true
      /** `pending`: this is its first use, see {@link Registry.promote}. */
      readonly state: 'pending' | 'current'
      readonly device: Device
      /** What the device's messages are stamped with: a later revocation of it has a higher one. */
      readonly epoch: number
    }
  | {
      readonly admitted: false
      readonly reason: 'unknown_certificate' | 'superseded' | 'previous' | 'revoked' | 'expired' | 'locked'
      /** Of `locked`: by which lock, for the audit log. */
      readonly comment?: string
    }

/** A CA signature is necessary and not sufficient: only a certificate that stands here by its whole DER opens anything. */
export function admit(state: RegistryState, holder: CertificateHolder, now: number): Admission {
  const certificate = state.certificates.get(holder.fingerprint)
  if (certificate?.device !== holder.deviceId) return refused('unknown_certificate')
  const device = state.devices.get(certificate.device)
  if (device === undefined) return refused('unknown_certificate')
  if (device.state === 'revoked') return refused('revoked')
  switch (certificate.state) {
    case 'pending':
    case 'current':
      if (certificate.notAfter <= now) return refused('expired')
      return { admitted: true, state: certificate.state, device, epoch: state.epoch }
    case 'previous':
    case 'superseded':
    case 'revoked':
      return refused(certificate.state)
  }
}

function refused(reason: Extract<Admission, { admitted: false }>['reason']): Admission {
  return { admitted: false, reason }
}
