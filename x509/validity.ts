import type { X509Certificate } from 'node:crypto'

/** From when to when a certificate is good, in milliseconds since 1970. */
export interface Validity {
  readonly notBefore: number
  readonly notAfter: number
}

export function validityOf({ validFrom, validTo }: X509Certificate): Validity {
  return { notBefore: Date.parse(validFrom), notAfter: Date.parse(validTo) }
}

/** Whether a certificate has come into the last third of its life, or to its end: the time to see to its successor. */
export function isInLastThird({ notBefore, notAfter }: Validity, now: number): boolean {
  return now >= notAfter - (notAfter - notBefore) / 3
}
