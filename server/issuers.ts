import type { DeviceIdentity, OperatorName, TrustDomain } from '#protocol'
import { readDeviceIdentity, readOperatorName, verifyPath } from '#x509'

const checkEveryMilliseconds = 6 * 3_600_000

/** As much of the CA as this needs; certificates are DER. */
export interface Authority {
  readonly root: { readonly der: Uint8Array }
  readonly issuing: { readonly der: Uint8Array }
  renewIssuingIfDue(): Promise<void>
}

/** Who holds a client certificate of ours: the path to our root is checked, then the name is read. */
export class Issuers {
  readonly #ca: Authority
  readonly #trustDomain: TrustDomain
  readonly #now: () => number
  /** DER of every issuing CA since the start: what the one before signed stays good. */
  readonly #issuing: Uint8Array[]

  constructor(ca: Authority, trustDomain: TrustDomain, now: () => number) {
    this.#ca = ca
    this.#trustDomain = trustDomain
    this.#now = now
    this.#issuing = [ca.issuing.der]
  }

  /** @throws X509Error */
  identifyDevice(der: Uint8Array): DeviceIdentity {
    this.#verify(der)
    return readDeviceIdentity(der, this.#trustDomain)
  }

  /** @throws X509Error */
  identifyOperator(der: Uint8Array): OperatorName {
    this.#verify(der)
    return readOperatorName(der, this.#trustDomain)
  }

  /** Looks now and then whether the issuing CA is due for renewal. Returns the way to stop. */
  keepRenewed(): () => void {
    const timer = setInterval(() => void this.#renew(), checkEveryMilliseconds).unref()
    return () => clearInterval(timer)
  }

  async #renew(): Promise<void> {
    try {
      await this.#ca.renewIssuingIfDue()
    } catch {
      return // tried again at the next look; until then the present one goes on, and /readyz tells when it is over
    }
    const { der } = this.#ca.issuing
    if (!this.#issuing.includes(der)) this.#issuing.push(der)
  }

  #verify(leaf: Uint8Array): void {
    const at = new Date(this.#now())
    verifyPath({ leaf, intermediates: this.#issuing, anchors: [this.#ca.root.der], at, purpose: 'device' })
  }
}
