import Type from 'typebox'
import {
  type ApplyPolicyAnswer,
  type AuditCheckpoint,
  type CertificateSerial,
  type CertificateView,
  type CreateTokenAnswer,
  type CreateTokenRequest,
  type ErasePayloadsAnswer,
  type ErasePayloadsRequest,
  type PayloadDisclosureView,
  type DeviceId,
  type DeviceView,
  type ExplainRequest,
  type Explanation,
  type Fingerprint,
  type InstanceId,
  type KickAnswer,
  type KickRequest,
  type Labels,
  type OperatorName,
  type PolicyView,
  type Problem,
  type ProfileName,
  type RegisterDeviceRequest,
  type RevocationReason,
  revocationReasons,
  type RevokeAnswer,
  type RevokeRequest,
  type RotateKeyAnswer,
  type RotateKeyRequest,
  type SessionView,
  type StatusView,
  type Tier,
  tiers,
  type TokenId,
  type TokenView,
} from '#protocol'
import type { QueryTerm } from '#audit'
import { held } from './held.js'

/*
 * What travels on the operators' API, as JSON schemas: one source for validation, for the types of the handlers and
 * for the OpenAPI document. Each is held to its type in protocol/api.ts.
 */

/** Ids keep the pattern of protocol/ids.ts, so that what has passed the schema is the branded type. */
const name = { type: 'string', pattern: '^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,64}$' }
const deviceId = Type.Unsafe<DeviceId>({ ...name, description: 'A device, for its whole life' })
const instanceId = Type.Unsafe<InstanceId>(name)
const tokenId = Type.Unsafe<TokenId>(name)
const profile = Type.Unsafe<ProfileName>({ ...name, description: 'Enrollment profile' })
const operatorName = Type.Unsafe<OperatorName>(name)
const fingerprint = Type.Unsafe<Fingerprint>({ type: 'string', pattern: '^[0-9a-f]{64}$', description: 'SHA-256' })
const serial = Type.Unsafe<CertificateSerial>({ type: 'string', pattern: '^[0-9a-f]{32}$' })
const tier = Type.Unsafe<Tier>({ type: 'string', enum: [...tiers] })
const reason = Type.Unsafe<RevocationReason>({ type: 'string', enum: [...revocationReasons] })
const time = Type.String({ format: 'date-time' })
const count = Type.Integer({ minimum: 0 })
/** As long as fits into a query in any script: twelve bytes a character, of the 8 KiB that a request's head may have. */
const comment = Type.String({ maxLength: 512, description: 'Why, for the audit log' })
/** Of every act of an operator: in its body, or in the query where that is no object with room for it. */
const act = { comment: Type.Optional(comment) }
export const actQuery = strict(act)
const topic = Type.String({ minLength: 1, maxLength: 1024 })
const topicAction = words('publish', 'will', 'subscribe', 'receive')
const qos = Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)])

export const labels = Type.Unsafe<Labels>({
  type: 'object',
  maxProperties: 32,
  propertyNames: { pattern: '^[A-Za-z0-9._-]{1,64}$' },
  additionalProperties: name,
})

export const deviceParams = strict({ id: deviceId })
export const tokenParams = strict({ id: tokenId })
/** The device id, or `ID~suffix` where a device has several sessions. */
const clientId = Type.String({ pattern: '^(?!\\.{1,2}(~|$))[A-Za-z0-9._-]{1,64}(~[A-Za-z0-9._-]{1,32})?$' })
export const sessionParams = strict({ id: clientId })

const certificateView = held<CertificateView>()(
  strict({
    serial,
    fingerprint,
    state: words('pending', 'current', 'previous', 'superseded', 'revoked'),
    tier,
    notBefore: time,
    notAfter: time,
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
    instances: Type.Array(strict({ id: instanceId, certificates: Type.Array(certificateView) })),
    revoked: Type.Optional(strict({ at: time, reason, by: operatorName, comment: Type.Optional(comment) })),
  }),
)

export const deviceList = Type.Unsafe<readonly DeviceView[]>(Type.Array(deviceView))

/** One query language for devices and sessions; see query.ts. */
export const listQuery = strict({ q: Type.Optional(Type.String({ maxLength: 1024 })) })

export const registerDeviceRequest = held<RegisterDeviceRequest>()(
  strict({ id: deviceId, profile: Type.Optional(profile), labels: Type.Optional(labels), ekHash: fingerprint, ...act }),
)

export const revokeRequest = held<RevokeRequest>()(strict({ reason, ...act }))

export const revokeAnswer = held<RevokeAnswer>()(
  strict({ device: deviceId, sessions: count, purged: count, recorded: Type.Boolean() }),
)

const tokenFields = {
  id: tokenId,
  profile,
  state: words('usable', 'spent', 'expired', 'revoked'),
  device: Type.Optional(deviceId),
  labels,
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
    uses: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
    ttlSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 7 * 86_400 })),
    ...act,
  }),
)

export const createTokenAnswer = held<CreateTokenAnswer>()(
  strict({ ...tokenFields, token: Type.String(), joinUri: Type.String() }),
)

const traffic = strict({ in: Type.Number({ minimum: 0 }), out: Type.Number({ minimum: 0 }) })

export const sessionView = held<SessionView>()(
  strict({
    session: Type.String(),
    device: deviceId,
    clientId: Type.String(),
    connected: Type.Boolean(),
    since: time,
    peer: Type.String(),
    protocol: Type.Optional(words('3.1.1', '5')),
    transport: Type.Optional(words('tls', 'websocket')),
    subscriptions: Type.Array(strict({ filter: Type.String(), qos: Type.Number() })),
    rates: traffic,
    messages: traffic,
    bytes: traffic,
    queued: count,
    queuedBytes: count,
    lastRefusal: Type.Optional(strict({ at: time, action: topicAction, topic: Type.String(), reason: Type.String() })),
  }),
)

export const sessionList = Type.Unsafe<readonly SessionView[]>(Type.Array(sessionView))

export const kickRequest = held<KickRequest>()(strict({ forget: Type.Optional(Type.Boolean()), ...act }))

export const kickAnswer = held<KickAnswer>()(
  strict({
    clientId: Type.String(),
    device: deviceId,
    ended: Type.Boolean(),
    forgotten: Type.Boolean(),
    purged: count,
  }),
)

export const policySource = Type.String({ description: 'A TopicPolicy as YAML or JSON' })

export const policyView = held<PolicyView>()(strict({ version: count, hash: fingerprint, source: Type.String() }))

/** The file as it is, YAML or JSON; a dry run changes nothing. */
export const applyPolicyQuery = strict({
  dryRun: Type.Optional(words('true', 'false')),
  file: Type.Optional(Type.String({ maxLength: 256 })),
  ...act,
})

export const applyPolicyAnswer = held<ApplyPolicyAnswer>()(
  strict({
    version: count,
    hash: fingerprint,
    tests: strict({ passed: count }),
    dryRun: Type.Boolean(),
    sessions: count,
  }),
)

export const explainRequest = held<ExplainRequest>()(
  strict({
    as: strict({ id: deviceId, tier: Type.Optional(tier), labels: Type.Optional(labels) }),
    action: topicAction,
    topic,
    qos: Type.Optional(qos),
    retain: Type.Optional(Type.Boolean()),
    size: Type.Optional(count),
  }),
)

const rules = Type.Array(Type.String())

export const explanation = held<Explanation>()(
  strict({
    decision: Type.Union([
      strict({ effect: Type.Literal('allow'), rules, policyVersion: count }),
      strict({
        effect: Type.Literal('deny'),
        reason: words(
          'no_rule',
          'denied',
          'not_contained',
          'overlaps_deny',
          'qos',
          'retain',
          'size',
          'rate',
          'quota',
          'condition',
          'reserved',
          'no_rights',
          'response_topic',
          'invalid_share',
          'internal',
        ),
        rules,
        policyVersion: count,
      }),
    ]),
    considered: Type.Array(
      strict({
        rule: Type.String(),
        effect: words('allow', 'deny'),
        at: Type.String(),
        failed: Type.Optional(words('topic', 'qos', 'retain', 'size', 'rate', 'condition')),
      }),
    ),
  }),
)

const term = Type.Optional(Type.String({ maxLength: 1024 }))
const terms: Readonly<Record<QueryTerm, typeof term>> = {
  device: term,
  session: term,
  event: term,
  topic: term,
  decision: term,
  rule: term,
  operator: term,
  since: term,
  until: term,
  order: term,
  limit: term,
  after: term,
}

/** One query language for the log, as text in `q` and as terms by their names; `audit/search/query-text.ts` reads it. */
export const auditQuery = strict({
  q: Type.Optional(Type.String({ maxLength: 2048, description: 'Such as device:pump-7 decision:deny since:2h' })),
  ...terms,
  follow: Type.Optional(words('true', 'false')),
})

export const recordParams = strict({ id: Type.String({ pattern: '^(0|[1-9][0-9]{0,14})$' }) })

export const rotateKeyRequest = held<RotateKeyRequest>()(
  strict({ days: Type.Optional(Type.Integer({ minimum: 0, maximum: 365 })), ...act }),
)

export const rotateKeyAnswer = held<RotateKeyAnswer>()(
  strict({ verifierKey: Type.String(), previousVerifierKey: Type.String(), notAfter: time }),
)

export const auditCheckpoint = held<AuditCheckpoint>()(
  strict({ checkpoint: Type.String(), verifierKey: Type.String() }),
)

/** Of a record. */
export const payloadParams = strict({ id: Type.String({ pattern: '^(0|[1-9][0-9]{0,14})$' }) })

const hex = (bytes: number) => Type.String({ pattern: `^[0-9a-f]{${2 * bytes}}$` })
const day = Type.String({ pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$', description: 'A day in UTC' })

export const payloadDisclosure = held<PayloadDisclosureView>()(
  strict({
    sequence: count,
    time,
    device: deviceId,
    topic: Type.String(),
    size: count,
    payloadCommitment: hex(32),
    r: hex(32),
  }),
)

export const erasePayloadsRequest = held<ErasePayloadsRequest>()(
  strict({ day, device: Type.Optional(deviceId), comment: Type.String({ ...comment, minLength: 1 }) }),
)

export const erasePayloadsAnswer = held<ErasePayloadsAnswer>()(
  strict({ day, device: Type.Optional(deviceId), keys: count }),
)

const outsideCheckpoint = strict({ size: count, at: time })

export const statusView = held<StatusView>()(
  strict({
    version: Type.String(),
    trustDomain: Type.String(),
    startedAt: time,
    devices: strict({ registered: count, active: count, revoked: count }),
    sessions: strict({ connected: count, stored: count }),
    audit: strict({
      mode: words('strict', 'relaxed', 'bestEffort'),
      first: count,
      size: count,
      durable: Type.Integer({ minimum: -1 }),
      healthy: Type.Boolean(),
      outside: strict({
        newest: Type.Optional(outsideCheckpoint),
        places: Type.Array(
          strict({
            kind: words('witness', 'published'),
            name: Type.String(),
            newest: Type.Optional(outsideCheckpoint),
            problem: Type.Optional(Type.String()),
          }),
        ),
      }),
    }),
    policy: strict({ version: count, hash: fingerprint }),
    issuer: strict({ subject: Type.String(), notAfter: time }),
  }),
)

export const problem = held<Problem>()(
  strict({
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable; what a program goes by' }),
    detail: Type.Optional(Type.String()),
  }),
)

/** An object with these fields and no other: a misspelt limit must not be no limit. */
function strict<const Fields extends Parameters<typeof Type.Object>[0]>(fields: Fields) {
  return Type.Object(fields, { additionalProperties: false })
}

function words<const Words extends readonly string[]>(...all: Words) {
  return Type.Unsafe<Words[number]>({ type: 'string', enum: all })
}
