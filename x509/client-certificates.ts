import type { Fingerprint } from '#protocol'
import { fingerprintOf } from './keys.js'
import { type PathRequest, verifyPath } from './path.js'

/** The CAs that are trusted now, and what time it is. */
export type Trust = Pick<PathRequest, 'intermediates' | 'anchors' | 'at'>

/** A device that comes back is known; of a larger fleet those that have waited the longest are verified anew. */
const maxRemembered = 10_000

/**
 * Whose a client certificate is. The same certificate comes with every connection and every request, and to verify its
 * path and read it takes a millisecond; so what was found of these very bytes is remembered. What their bytes do not
 * say is asked each time: whether it is time for each certificate of the path, and whether its CAs are still trusted.
 * Whether it was revoked is not for the certificate to say, and never asked here.
 */
export class ClientCertificates<Holder> {
  readonly #read: (der: Uint8Array) => Holder
  readonly #maxRemembered: number
  /** Those that were verified first come first. Nobody can fill it: each was signed by a CA that was trusted. */
  readonly #verified = new Map<Fingerprint, Verified<Holder>>()

  /** `read` is told of verified certificates only. */
  constructor(read: (der: Uint8Array) => Holder, bounds: { readonly maxRemembered?: number } = {}) {
    this.#read = read
    this.#maxRemembered = bounds.maxRemembered ?? maxRemembered
  }

  /** @throws X509Error */
  holderOf(leaf: Uint8Array, trust: Trust): Holder {
    const fingerprint = fingerprintOf(leaf)
    const known = this.#verified.get(fingerprint)
    if (known && stillHolds(known, trust)) return known.holder
    const { path, notBefore, notAfter } = verifyPath({ ...trust, leaf, purpose: 'device' })
    const holder = this.#read(leaf)
    const [first, last] = [notBefore.getTime(), notAfter.getTime()]
    this.#remember(fingerprint, { holder, issuers: path.slice(1), first, last })
    return holder
  }

  #remember(fingerprint: Fingerprint, verified: Verified<Holder>): void {
    this.#verified.delete(fingerprint)
    this.#verified.set(fingerprint, verified)
    const [oldest] = this.#verified.keys()
    if (this.#verified.size > this.#maxRemembered && oldest !== undefined) this.#verified.delete(oldest)
  }
}

/** One for each device of a fleet, so it is small. */
interface Verified<Holder> {
  readonly holder: Holder
  /** The moments between which all of the path is valid; numbers take a fifth of what a Date does. */
  readonly first: number
  readonly last: number
  /** DER, the anchor last. */
  readonly issuers: readonly Uint8Array[]
}

/** A path that does not, may have another beside it; that is looked for anew. */
function stillHolds<Holder>(verified: Verified<Holder>, { intermediates, anchors, at }: Trust): boolean {
  const { issuers, first, last } = verified
  if (!(first <= at.getTime() && at.getTime() <= last)) return false
  const anchor = issuers.length - 1
  return issuers.every((issuer, index) => isAmong(issuer, index === anchor ? anchors : intermediates))
}

function isAmong(der: Uint8Array, certificates: readonly Uint8Array[]): boolean {
  return certificates.some((one) => one === der || Buffer.compare(one, der) === 0)
}
