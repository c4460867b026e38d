import { randomBytes } from 'node:crypto'
import { Entrance } from './approvals/entrance.js'
import { Challenges } from './challenge.js'
import { Issuance } from './issuance.js'
import type { EnrollmentOptions } from './options.js'
import { OidcJoins } from './oidc/oidc-joins.js'
import type { PcrPolicyFor } from './pcr-policy/policy.js'
import { Verdicts } from './pcr-policy/verdicts.js'
import { Profiles } from './profile.js'
import { Reception } from './reception.js'
import { Turnstile } from './turnstile.js'
import { type Verifier, verifyHere } from './verifier/verifier.js'

/** What every way in works with. */
export interface Desk extends Pick<EnrollmentOptions, 'trustDomain' | 'ca' | 'registry' | 'now'> {
  readonly profiles: Profiles
  readonly pcrPolicyFor: PcrPolicyFor
  readonly reception: Reception
  readonly verifier: Verifier
  readonly challenges: Challenges
  readonly verdicts: Verdicts
  readonly issuance: Issuance
  readonly entrance: Entrance
  readonly oidc: OidcJoins
}

export function openDesk(options: EnrollmentOptions): Desk {
  const { trustDomain, ca, registry, cookieKey, now, random = randomBytes } = options
  const { pcrPolicyFor = () => undefined, openVerifier = verifyHere } = options
  const verifier = openVerifier({ ek: options.ekMakers, idevid: options.idevidMakers ?? [] })
  const verdicts = new Verdicts({ ...options, pcrPolicyFor })
  const turnstile = new Turnstile()
  return {
    ...{ trustDomain, ca, registry, now, pcrPolicyFor, verifier, verdicts },
    profiles: new Profiles(options.profiles),
    reception: new Reception({ ...options, turnstile }),
    challenges: new Challenges({ trustDomain, verifier, pcrPolicyFor, cookieKey, now, random }),
    issuance: new Issuance({ ...options, verdicts, turnstile }),
    entrance: new Entrance(options),
    oidc: new OidcJoins({ issuers: [], ...options.oidc, trustDomain, registry, verifier, now }),
  }
}
