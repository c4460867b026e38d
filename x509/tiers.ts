import { type Tier, tiers } from '#protocol'

/**
 * Where our certificate policies stand: an arc that a UUID gives us for good without asking anyone (X.667 §6.3;
 * docs/decisions/0004). The number is 36bec281-5147-4e4b-9a1d-5d126a642ec0; no number below it is ever reused.
 */
const policyArc = '2.25.72768793208557636418306364080105205440.1'

const numbers: Readonly<Record<Tier, number>> = {
  token: 1,
  idevid: 2,
  tpm: 3,
  'tpm-unvouched': 4,
  'tpm+pcr': 5,
  'oidc-sim': 6,
}

const tierOf: ReadonlyMap<string, Tier> = new Map(tiers.map((tier) => [tierPolicyOid(tier), tier]))

/** The certificate policy that says how the device's key was proven. */
export function tierPolicyOid(tier: Tier): string {
  return `${policyArc}.${numbers[tier]}`
}

/** The tiers among some certificate policies. */
export function tiersAmong(policies: readonly string[]): readonly Tier[] {
  return policies.flatMap((policy) => tierOf.get(policy) ?? [])
}
