import { type PathRequest, verifyPath, X509Error } from '#x509'

/** A manufacturer whose word about endorsement keys counts here. All certificates are DER. */
export interface EkMaker {
  /** Its id in the TCG's vendor registry, such as `IFX`, or what the operator calls it. */
  readonly id: string
  /** Trusted by being here. */
  readonly roots: readonly Uint8Array[]
  /** Authorities between, for TPMs that carry their own certificate only; they only help to find the way to a root. */
  readonly intermediates: readonly Uint8Array[]
  readonly habits?: EkMakerHabits
}

/** What is forgiven one manufacturer and nobody else. */
export interface EkMakerHabits {
  /** Its EK certificates may come without extended key usage (TCG EK Credential Profile §3.2.14 asks for it). Default false. */
  readonly ekUsageMissing?: boolean
  /** Its CAs still vouch for the chips of their time when they have expired themselves. Default false. */
  readonly expiredAuthorities?: boolean
}

type Group = Pick<PathRequest, 'anchors' | 'intermediates' | 'ekUsageOptional' | 'expiredIssuers'>

/** Manufacturers by what is forgiven them: a leniency ends at the roots that it is for. */
export class EkTrust {
  readonly #groups: readonly Group[]

  constructor(makers: readonly EkMaker[]) {
    const of = (ekUsageOptional: boolean, expiredIssuers: boolean): Group => {
      const alike = makers.filter(({ habits }) => {
        const { ekUsageMissing = false, expiredAuthorities = false } = habits ?? {}
        return ekUsageMissing === ekUsageOptional && expiredAuthorities === expiredIssuers
      })
      const anchors = alike.flatMap(({ roots }) => roots)
      return { anchors, intermediates: alike.flatMap((maker) => maker.intermediates), ekUsageOptional, expiredIssuers }
    }
    const lenient = [of(true, false), of(false, true), of(true, true)].filter(({ anchors }) => anchors.length > 0)
    this.#groups = [of(false, false), ...lenient]
  }

  /**
   * Whether one of the manufacturers issued this EK certificate. Only what came and what is held here is looked at: the
   * addresses that certificates name for their issuers are never asked, or a stranger could send us anywhere.
   * @throws X509Error the reason of the manufacturer that came closest
   */
  verify(leaf: Uint8Array, sent: readonly Uint8Array[], at: Date): void {
    const problems: X509Error[] = []
    for (const { intermediates, ...group } of this.#groups) {
      try {
        verifyPath({ leaf, intermediates: [...sent, ...intermediates], ...group, at, purpose: 'ek' })
        return
      } catch (error) {
        if (!(error instanceof X509Error)) throw error
        problems.push(error)
      }
    }
    throw closest(problems)
  }
}

/** To know the issuer and refuse it for something says more than not to know it. */
function closest(problems: readonly X509Error[]): X509Error | undefined {
  const isStranger = ({ code }: X509Error) => code === 'ISSUER_UNKNOWN' || code === 'SELF_SIGNED'
  return problems.find((problem) => !isStranger(problem)) ?? problems[0]
}
