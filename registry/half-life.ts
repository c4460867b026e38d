/** Whether over half of a certificate's life is left: as long, the same key gets the same certificate again. */
export function hasHalfItsLife(
  certificate: { readonly notBefore: number; readonly notAfter: number },
  now: number,
): boolean {
  return certificate.notAfter - now > (certificate.notAfter - certificate.notBefore) / 2
}
