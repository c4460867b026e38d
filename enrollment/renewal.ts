/** When a certificate is to be renewed (the shape of RFC 9773 §4.1): the device picks a moment inside at random. */
export interface RenewalWindow {
  readonly start: Date
  readonly end: Date
}

/** The span of a lifetime in which to renew: late enough to be worth it, early enough to try again for hours. */
const span = { from: 0.5, to: 0.66 } as const

export function renewalWindow(certificate: { readonly notBefore: Date; readonly notAfter: Date }): RenewalWindow {
  const start = certificate.notBefore.getTime()
  const life = certificate.notAfter.getTime() - start
  return { start: new Date(start + life * span.from), end: new Date(Math.floor(start + life * span.to)) }
}
