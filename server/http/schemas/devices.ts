import Type from 'typebox'
import type {
  CertificateView,
  DeviceView,
  RegisterDeviceRequest,
  RevokeAnswer,
  RevokeRequest,
  RotateAnswer,
  RotateRequest,
} from '#protocol'
import { enforcement } from './enforcement.js'
import {
  act,
  comment,
  count,
  deviceId,
  fingerprint,
  instanceId,
  labels,
  operatorName,
  profile,
  reason,
  serial,
  strict,
  keyIdentifier,
  tier,
  time,
  words,
} from './fields.js'
import { verdict } from './attest.js'
import { held } from './held.js'
import { lockTarget } from './locks.js'

export const deviceParams = strict({ id: deviceId })

const certificateView = held<CertificateView>()(
  strict({
    serial,
    fingerprint,
    state: words('pending', 'current', 'previous', 'superseded', 'revoked'),
    tier,
    issuer: Type.Optional(keyIdentifier),
    notBefore: time,
    notAfter: time,
    rotate: Type.Optional(Type.Literal(true)),
  }),
)

const anchor = strict({ kind: words('ek', 'idevid', 'token', 'oidc'), hash: fingerprint })

export const deviceView = held<DeviceView>()(
  strict({
    id: deviceId,
    state: words('registered', 'active', 'revoked'),
    profile,
    labels,
    anchors: Type.Array(anchor),
    online: Type.Boolean(),
    verdict: Type.Optional(verdict),
    instances: Type.Array(strict({ id: instanceId, certificates: Type.Array(certificateView) })),
    revoked: Type.Optional(strict({ at: time, reason, by: operatorName, comment: Type.Optional(comment) })),
  }),
)

export const deviceList = Type.Unsafe<readonly DeviceView[]>(Type.Array(deviceView))

export const registerDeviceRequest = held<RegisterDeviceRequest>()(
  strict({ id: deviceId, profile: Type.Optional(profile), labels: Type.Optional(labels), ekHash: fingerprint, ...act }),
)

export const rotateRequest = held<RotateRequest>()(
  strict({ target: lockTarget, dryRun: Type.Optional(Type.Boolean()), ...act }),
)

export const rotateAnswer = held<RotateAnswer>()(strict({ dryRun: Type.Boolean(), devices: count }))

export const revokeRequest = held<RevokeRequest>()(strict({ reason, ...act }))

export const revokeAnswer = held<RevokeAnswer>()(
  strict({ device: deviceId, ...enforcement }),
)
