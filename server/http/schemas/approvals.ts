import Type from 'typebox'
import { approvalReasons, type ApprovalView, type ApproveRequest, type DenyAnswer, type DenyRequest } from '#protocol'
import { anchorKind, comment, count, deviceId, fingerprint, labels, profile, strict, tier, time, words } from './fields.js'
import { held } from './held.js'

export const approvalParams = strict({ id: fingerprint })

export const approvalView = held<ApprovalView>()(
  strict({
    hash: fingerprint,
    anchorKind,
    reason: words(...approvalReasons),
    profile,
    tier,
    maker: Type.Optional(Type.String()),
    hardwareSerial: Type.Optional(Type.String()),
    device: Type.Optional(deviceId),
    peer: Type.String(),
    since: time,
    last: time,
    tries: count,
    reported: Type.Optional(Type.Unsafe<Readonly<Record<string, string>>>(Type.Record(Type.String(), Type.String()))),
  }),
)

export const approvalList = Type.Unsafe<readonly ApprovalView[]>(Type.Array(approvalView))

const why = Type.String({ ...comment, minLength: 1 })

export const approveRequest = held<ApproveRequest>()(
  strict({
    device: Type.Optional(deviceId),
    profile: Type.Optional(profile),
    labels: Type.Optional(labels),
    reason: why,
  }),
)

export const denyRequest = held<DenyRequest>()(strict({ reason: why }))

export const denyAnswer = held<DenyAnswer>()(strict({ hash: fingerprint, until: time }))
