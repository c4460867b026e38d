import type { DeviceIdentity, OperatorName, TrustDomain } from '#protocol'
import { ClientCertificates, readDeviceIdentity, readOperatorName } from '#x509'

/** As much of the CA as this needs; certificates are DER. */
export interface Authority {
  readonly root: { readonly der: Uint8Array }
  /** Asked at every check, because the issuing CA is renewed while we run. */
  readonly intermediates: readonly { readonly der: Uint8Array }[]
}

/** Who holds a client certificate of ours: the path to our root is checked, then the name is read. */
export class Issuers {
  readonly #ca: Authority
  readonly #now: () => number
  readonly #devices: ClientCertificates<DeviceIdentity>
  readonly #operators: ClientCertificates<OperatorName>

  constructor(ca: Authority, trustDomain: TrustDomain, now: () => number) {
    this.#ca = ca
    this.#now = now
    this.#devices = new ClientCertificates((der) => readDeviceIdentity(der, trustDomain))
    this.#operators = new ClientCertificates((der) => readOperatorName(der, trustDomain))
  }

  /** @throws X509Error */
  identifyDevice(der: Uint8Array): DeviceIdentity {
    return this.#devices.holderOf(der, this.#trust())
  }

  /** @throws X509Error */
  identifyOperator(der: Uint8Array): OperatorName {
    return this.#operators.holderOf(der, this.#trust())
  }

  #trust() {
    const { root, intermediates } = this.#ca
    return { intermediates: intermediates.map(({ der }) => der), anchors: [root.der], at: new Date(this.#now()) }
  }
}
