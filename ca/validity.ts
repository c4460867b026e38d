import type { Validity } from '#x509'
import { CaError } from './errors.js'
import { lifetimes } from './profiles.js'

const mostBackdating = 5 * 60 * 1000

/**
 * From a little before now, for clocks that are behind, over the whole lifetime (backdating is part of it), but never
 * beyond the issuer. A life of under an hour is backdated by a twelfth of it only: five minutes would eat it up.
 * @throws CaError ISSUER_EXPIRED
 */
export function validityFrom(now: number, lifetime: number, issuerNotAfter = Infinity): Validity {
  if (issuerNotAfter <= now) throw new CaError('ISSUER_EXPIRED', 'the CA that would have to sign has expired')
  const notBefore = toSecond(now - Math.min(mostBackdating, lifetime / 12))
  return { notBefore, notAfter: Math.min(notBefore + toSecond(lifetime), issuerNotAfter) }
}

/** @throws CaError LIFETIME_INVALID */
export function deviceLifetime(seconds: number): number {
  return lifetimeWithin(seconds, lifetimes.deviceLeast, lifetimes.deviceMost)
}

/** @throws CaError LIFETIME_INVALID */
export function operatorLifetime(seconds: number): number {
  return lifetimeWithin(seconds, lifetimes.deviceLeast, lifetimes.operatorMost)
}

/** When a device should ask for its next certificate: at a moment of its own choice from 50 to 66 % of its life. */
export function renewalWindow({ notBefore, notAfter }: { readonly notBefore: Date; readonly notAfter: Date }): {
  readonly start: Date
  readonly end: Date
} {
  const life = notAfter.getTime() - notBefore.getTime()
  return { start: new Date(notBefore.getTime() + 0.5 * life), end: new Date(notBefore.getTime() + 0.66 * life) }
}

function lifetimeWithin(seconds: number, least: number, most: number): number {
  const lifetime = seconds * 1000
  if (!(lifetime >= least && lifetime <= most)) {
    throw new CaError('LIFETIME_INVALID', `expected from ${least / 1000} to ${most / 1000} seconds, got ${seconds}`)
  }
  return lifetime
}

/** Certificates know no fractions of a second. */
function toSecond(time: number): number {
  return Math.floor(time / 1000) * 1000
}
