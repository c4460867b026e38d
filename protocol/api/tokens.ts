import type { Labels } from '../identity.js'
import type { DeviceId, Fingerprint, ProfileName, TokenId } from '../ids.js'
import type { Act } from './act.js'

export interface TokenView {
  readonly id: TokenId
  readonly profile: ProfileName
  readonly state: 'usable' | 'spent' | 'expired' | 'revoked'
  readonly device?: DeviceId
  readonly labels: Labels
  /** The endorsement key that has to be proven with it. */
  readonly ekHash?: Fingerprint
  /** Where it has to come from. */
  readonly addresses?: readonly string[]
  readonly uses: { readonly allowed: number; readonly spent: number }
  readonly notAfter: string
}

export interface CreateTokenRequest extends Act {
  readonly profile?: ProfileName
  /** The only device id that the token can make; without it the server names the device. */
  readonly device?: DeviceId
  readonly labels?: Labels
  /** SHA-256 of the SubjectPublicKeyInfo of the endorsement key that has to be proven with it. */
  readonly ekHash?: Fingerprint
  /** Addresses and networks (`192.0.2.0/24`), one of which it has to come from. */
  readonly addresses?: readonly string[]
  /** Default 1. */
  readonly uses?: number
  /** Default 3600, at most 7 days. */
  readonly ttlSeconds?: number
}

export interface CreateTokenAnswer extends TokenView {
  /** `tm1.<id>.<secret>`: shown once, never stored. */
  readonly token: string
  /** Where to join with it. */
  readonly joinUri: string
}
