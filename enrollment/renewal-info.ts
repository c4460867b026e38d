import { renewalWindow } from '#ca'
import type { DeviceIdentity, RenewalInfo } from '#protocol'
import { addressOf, type Registry, RegistryError } from '#registry'
import { certificateId } from '#x509'
import { EnrollmentError } from './errors.js'

/** So often a device may ask. What an operator wants rotated is begun everywhere within this time, and not at once. */
export const askAgainSeconds = 900

/** What a device shows and asks. */
interface Question {
  readonly der: Uint8Array
  readonly identity: DeviceIdentity
  /** The certificate that it asks about, as RFC 9773 §4.1 names it. */
  readonly id: string
  readonly peer: string
}

/**
 * When a certificate is to be renewed (spec §5, RFC 9773 §4.2): in the window that came with it, or where an operator wants
 * it replaced in one that was over when it was issued, whatever the device's clock says.
 * @throws EnrollmentError RENEWAL_REFUSED, RegistryError UNKNOWN_CERTIFICATE
 */
export function renewalInfoOf(
  registry: Pick<Registry, 'admit' | 'certificate'>,
  { der, identity, id, peer }: Question,
): RenewalInfo {
  const certificate = registry.certificate(identity.fingerprint)
  if (certificate === undefined) {
    throw new RegistryError('UNKNOWN_CERTIFICATE', `certificate ${identity.serial} was not issued here`)
  }
  const admission = registry.admit(identity, addressOf(peer))
  if (!admission.admitted) throw refused(`certificate ${identity.serial}: ${admission.reason}`)
  if (id !== certificateId(der)) throw refused('asked about another certificate than the one that was shown')
  const start = identity.notBefore
  const over = { start, end: new Date(start.getTime() + 1000) }
  return { suggestedWindow: certificate.rotate === true ? over : renewalWindow(identity) }
}

function refused(problem: string): EnrollmentError {
  return new EnrollmentError('RENEWAL_REFUSED', problem)
}
