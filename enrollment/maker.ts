/** A manufacturer whose word about its hardware counts here. All certificates are DER. */
export interface Maker {
  /** What the operator calls it; of TPMs that come with the package its id in the TCG's vendor registry, such as `IFX`. */
  readonly id: string
  /** Trusted by being here. */
  readonly roots: readonly Uint8Array[]
  /** Authorities between, for machines that carry their own certificate only; they only help to find the way to a root. */
  readonly intermediates: readonly Uint8Array[]
}

/** A manufacturer whose word about endorsement keys counts here. */
export interface EkMaker extends Maker {
  readonly habits?: EkMakerHabits
}

/** What is forgiven one manufacturer and nobody else. */
export interface EkMakerHabits {
  /** Its EK certificates may come without extended key usage (TCG EK Credential Profile §3.2.14 asks for it). Default false. */
  readonly ekUsageMissing?: boolean
  /** Its CAs still vouch for the chips of their time when they have expired themselves. Default false. */
  readonly expiredAuthorities?: boolean
}

/** Everybody whose word about hardware counts here. */
export interface TrustedMakers {
  readonly ek: readonly EkMaker[]
  readonly idevid: readonly Maker[]
}
