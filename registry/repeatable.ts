import type { CertificateRecord } from './state.js'

/** Whether the same key gets the same certificate again: over half of its life is left, and nobody wants it replaced. */
export function isRepeatable({ notBefore, notAfter, rotate }: CertificateRecord, now: number): boolean {
  return rotate !== true && notAfter - now > (notAfter - notBefore) / 2
}
