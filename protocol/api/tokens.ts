import type { Labels } from '../identity.js'
import type { DeviceId, ProfileName, TokenId } from '../ids.js'
import type { Act } from './act.js'

export interface TokenView {
  readonly id: TokenId
  readonly profile: ProfileName
  readonly state: 'usable' | 'spent' | 'expired' | 'revoked'
  readonly device?: DeviceId
  readonly labels: Labels
  readonly uses: { readonly allowed: number; readonly spent: number }
  readonly notAfter: string
}

export interface CreateTokenRequest extends Act {
  readonly profile?: ProfileName
  /** The only device id that the token can make; without it the server names the device. */
  readonly device?: DeviceId
  readonly labels?: Labels
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
