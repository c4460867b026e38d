import type { DeviceIdentity, OperatorName, TrustDomain } from '#protocol'
import { readDeviceIdentity, readOperatorName, verifyPath } from '#x509'

/** As much of the CA as this needs; certificates are DER. */
export interface Authority {
  readonly root: { readonly der: Uint8Array }
  /** Asked at every check, because the issuing CA is renewed while we run. */
  readonly intermediates: readonly { readonly der: Uint8Array }[]
}

/** Who holds a client certificate of ours: the path to our root is checked, then the name is read. */
export class Issuers {
  readonly #ca: Authority
  readonly #trustDomain: TrustDomain
  readonly #now: () => number

  constructor(ca: Authority, trustDomain: TrustDomain, now: () => number) {
    this.#ca = ca
    this.#trustDomain = trustDomain
    this.#now = now
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

  #verify(leaf: Uint8Array): void {
    const { root, intermediates } = this.#ca
    verifyPath({
      leaf,
      intermediates: intermediates.map(({ der }) => der),
      anchors: [root.der],
      at: new Date(this.#now()),
      purpose: 'device',
    })
  }
}
