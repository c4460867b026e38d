import type { Fingerprint } from '#protocol'
import { fingerprintOf, type PathRequest, verifyPath } from '#x509'
import { firstToVouch } from './evidence/vouching.js'
import type { EkMaker } from './maker.js'

type Group = Pick<PathRequest, 'anchors' | 'intermediates' | 'ekUsageOptional' | 'expiredIssuers'>

/** Manufacturers by what is forgiven them: a leniency ends at the roots that it is for. */
export class EkTrust {
  readonly #groups: readonly Group[]
  readonly #makerOfRoot: ReadonlyMap<Fingerprint, string>

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
    this.#makerOfRoot = new Map(makers.flatMap(({ id, roots }) => roots.map((root) => [fingerprintOf(root), id])))
  }

  /**
   * The manufacturer, by its id, that issued this EK certificate. Only what came and what is held here is looked at: the
   * addresses that certificates name for their issuers are never asked, or a stranger could send us anywhere.
   * @throws X509Error the reason of the manufacturer that came closest
   */
  verify(leaf: Uint8Array, sent: readonly Uint8Array[], at: Date): string {
    const { path } = firstToVouch(this.#groups, ({ intermediates, ...group }) =>
      verifyPath({ leaf, intermediates: [...sent, ...intermediates], ...group, at, purpose: 'ek' }),
    )
    return this.#makerOfRoot.get(fingerprintOf(path.at(-1) ?? leaf)) ?? ''
  }
}
