import { RegistryError, type RegistryErrorCode } from '../errors.js'
import type { CertificateRecord } from '../state.js'

/** Why a certificate is not renewed: what is wrong with it, in words that follow its name. */
export function refused(
  code: RegistryErrorCode,
  { serial, device }: Pick<CertificateRecord, 'serial' | 'device'>,
  problem: string,
): RegistryError {
  return new RegistryError(code, `certificate ${serial} of ${device} ${problem}`)
}
