import Type from 'typebox'
import { type LockAnswer, type LockId, lockModes, type LockRequest, type LockView } from '#protocol'
import { enforcement } from './enforcement.js'
import { comment, count, deviceId, fingerprint, instanceId, labels, operatorName, profile, strict, time, tokenId, words, keyIdentifier } from './fields.js'
import { held } from './held.js'

export const lockId = Type.Unsafe<LockId>({ type: 'string', pattern: '^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,64}$' })
export const lockParams = strict({ id: lockId })
const lockMode = words(...lockModes)
const addresses = Type.String({ maxLength: 64, description: 'Such as 192.0.2.0/24, 2001:db8::/32, or one address' })
export const lockTarget = Type.Union([
  strict({ device: deviceId }),
  strict({ instance: instanceId }),
  strict({ ek: fingerprint }),
  strict({ labels }),
  strict({ role: Type.String({ pattern: '^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,64}$' }) }),
  strict({ profile }),
  strict({ token: tokenId }),
  strict({ issuer: keyIdentifier }),
  strict({ addresses }),
])

export const lockView = held<LockView>()(
  strict({
    id: lockId,
    target: lockTarget,
    mode: lockMode,
    actsAs: Type.Optional(Type.Literal('lock')),
    reason: Type.String(),
    by: operatorName,
    at: time,
    notAfter: Type.Optional(time),
    revision: count,
    devices: count,
  }),
)

export const lockList = Type.Unsafe<readonly LockView[]>(Type.Array(lockView))

export const lockRequest = held<LockRequest>()(
  strict({
    target: lockTarget,
    mode: Type.Optional(lockMode),
    ttlSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 366 * 86_400 })),
    reason: Type.String({ ...comment, minLength: 1 }),
    dryRun: Type.Optional(Type.Boolean()),
  }),
)

export const lockAnswer = held<LockAnswer>()(
  strict({
    lock: Type.Optional(lockView),
    dryRun: Type.Boolean(),
    devices: count,
    ...enforcement,
  }),
)

