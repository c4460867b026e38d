import Type from 'typebox'
import type { CreateTokenAnswer, CreateTokenRequest, TokenView } from '#protocol'
import { act, count, deviceId, fingerprint, labels, profile, strict, time, tokenId, words } from './fields.js'
import { held } from './held.js'

export const tokenParams = strict({ id: tokenId })

const binding = {
  ekHash: Type.Optional(fingerprint),
  addresses: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 16 })),
}

const tokenFields = {
  id: tokenId,
  profile,
  state: words('usable', 'spent', 'expired', 'revoked'),
  device: Type.Optional(deviceId),
  labels,
  ...binding,
  uses: strict({ allowed: count, spent: count }),
  notAfter: time,
}

export const tokenView = held<TokenView>()(strict(tokenFields))

export const tokenList = Type.Unsafe<readonly TokenView[]>(Type.Array(tokenView))

export const createTokenRequest = held<CreateTokenRequest>()(
  strict({
    profile: Type.Optional(profile),
    device: Type.Optional(deviceId),
    labels: Type.Optional(labels),
    ...binding,
    uses: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
    ttlSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 7 * 86_400 })),
    ...act,
  }),
)

export const createTokenAnswer = held<CreateTokenAnswer>()(
  strict({ ...tokenFields, token: Type.String(), joinUri: Type.String() }),
)
