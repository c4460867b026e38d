import Type from 'typebox'
import {
  type CertificateView,
  cloneSigns,
  deviceOrders,
  type DevicePage,
  type DeviceView,
  type ExpectedDevice,
  type ImportDevicesAnswer,
  type ImportDevicesRequest,
  type RefusedDevice,
  type RegisterDeviceRequest,
  type RevokeAnswer,
  type RevokeRequest,
  type RotateAnswer,
  type RotateRequest,
} from '#protocol'
import { enforcement } from './enforcement.js'
import {
  act,
  anchorKind,
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
  queryText,
  reported,
  tier,
  time,
  words,
} from './fields.js'
import { verdict } from './attest.js'
import { held } from './held.js'
import { lockId, lockTarget } from './locks.js'

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

const anchor = strict({ kind: anchorKind, hash: fingerprint })

const clone = strict({
  at: time,
  sign: words(...cloneSigns),
  presentedSerial: serial,
  peer: Type.Optional(Type.String()),
  lock: lockId,
})

export const deviceView = held<DeviceView>()(
  strict({
    id: deviceId,
    state: words('registered', 'active', 'revoked'),
    profile,
    labels,
    anchors: Type.Array(anchor),
    online: Type.Boolean(),
    seen: Type.Optional(time),
    standing: Type.Optional(words('locked', 'quarantined')),
    reported: Type.Optional(reported),
    verdict: Type.Optional(verdict),
    instances: Type.Array(
      strict({ id: instanceId, certificates: Type.Array(certificateView), clone: Type.Optional(clone) }),
    ),
    revoked: Type.Optional(strict({ at: time, reason, by: operatorName, comment: Type.Optional(comment) })),
  }),
)

/** See ../../query/device-terms.ts. */
export const devicesQuery = strict({
  q: queryText,
  order: Type.Optional(words(...deviceOrders)),
  limit: Type.Optional(Type.String({ pattern: '^([1-9][0-9]{0,2}|1000)$', description: 'Default: 1000' })),
  after: Type.Optional(Type.String({ maxLength: 100 })),
})

export const devicePage = Type.Unsafe<DevicePage>(
  strict({ devices: Type.Array(deviceView), count, next: Type.Optional(Type.String()) }),
)

export const registerDeviceRequest = held<RegisterDeviceRequest>()(
  strict({
    id: deviceId,
    profile: Type.Optional(profile),
    labels: Type.Optional(labels),
    ekHash: Type.Optional(fingerprint),
    idevidSpki: Type.Optional(fingerprint),
    idevidSerial: Type.Optional(
      strict({
        maker: Type.String({ minLength: 1, maxLength: 64 }),
        serial: Type.String({ minLength: 1, maxLength: 64 }),
      }),
    ),
    ...act,
  }),
)

const mostInOneRequest = 1000

const expectedDevice = held<ExpectedDevice>()(
  strict({
    id: deviceId,
    profile: Type.Optional(profile),
    labels: Type.Optional(labels),
    anchor: strict({ kind: words('ek', 'idevid'), hash: fingerprint }),
  }),
)

export const importRequest = held<ImportDevicesRequest>()(
  strict({
    devices: Type.Array(expectedDevice, { maxItems: mostInOneRequest }),
    dryRun: Type.Optional(Type.Boolean()),
    skipInvalid: Type.Optional(Type.Boolean()),
    ...act,
  }),
)

const refusedDevice = held<RefusedDevice>()(
  strict({ at: count, field: words('id', 'profile', 'labels', 'anchor'), code: Type.String(), problem: Type.String() }),
)

export const importAnswer = held<ImportDevicesAnswer>()(
  strict({ dryRun: Type.Boolean(), registered: count, unchanged: count, refused: Type.Array(refusedDevice) }),
)

export const rotateRequest = held<RotateRequest>()(
  strict({ target: lockTarget, dryRun: Type.Optional(Type.Boolean()), ...act }),
)

export const rotateAnswer = held<RotateAnswer>()(strict({ dryRun: Type.Boolean(), devices: count }))

export const revokeRequest = held<RevokeRequest>()(strict({ reason, ...act }))

export const revokeAnswer = held<RevokeAnswer>()(
  strict({ device: deviceId, ...enforcement }),
)
