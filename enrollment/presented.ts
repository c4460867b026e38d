import type { CertificateAuthority } from '#ca'
import { verifyPath, X509Error } from '#x509'
import { EnrollmentError } from './errors.js'

/**
 * Whether a certificate that stands in the registry is what it says, also when it is over: path, every signature and what
 * it is for, at the last moment at which it was good. Nobody has asked before: the listener lets everyone in, and of
 * several faults Node would name the last one only, so that a forged leaf which is also over would pass for an old one.
 * @throws EnrollmentError RENEWAL_REFUSED
 */
export function verifyPresented(
  { signers, root }: Pick<CertificateAuthority, 'signers' | 'root'>,
  leaf: Uint8Array,
  { notAfter, now }: { readonly notAfter: number; readonly now: number },
): void {
  const intermediates = signers.map(({ der }) => der)
  const at = new Date(Math.min(now, notAfter))
  try {
    verifyPath({ leaf, intermediates, anchors: [root.der], purpose: 'device', at })
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    throw new EnrollmentError('RENEWAL_REFUSED', cause.message, { cause })
  }
}
