import Type from 'typebox'
import {
  type CertificateSerial,
  type DeviceId,
  type Fingerprint,
  type InstanceId,
  type KeyIdentifier,
  type Labels,
  type OperatorName,
  type ProfileName,
  type RevocationReason,
  revocationReasons,
  type Tier,
  tiers,
  type TokenId,
} from '#protocol'

/*
 * What travels on the operators' API, as JSON schemas: one source for validation, for the types of the handlers and
 * for the OpenAPI document. Each is held to its type in protocol/api. Here what several of them are made of.
 */

/** Ids keep the pattern of protocol/ids.ts, so that what has passed the schema is the branded type. */
const name = { type: 'string', pattern: '^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,64}$' }
export const deviceId = Type.Unsafe<DeviceId>({ ...name, description: 'A device, for its whole life' })
export const instanceId = Type.Unsafe<InstanceId>(name)
export const tokenId = Type.Unsafe<TokenId>(name)
export const profile = Type.Unsafe<ProfileName>({ ...name, description: 'Enrollment profile' })
export const operatorName = Type.Unsafe<OperatorName>(name)
export const fingerprint = Type.Unsafe<Fingerprint>({
  type: 'string',
  pattern: '^[0-9a-f]{64}$',
  description: 'SHA-256',
})
export const serial = Type.Unsafe<CertificateSerial>({ type: 'string', pattern: '^[0-9a-f]{32}$' })
export const keyIdentifier = Type.Unsafe<KeyIdentifier>({
  type: 'string',
  pattern: '^[0-9a-f]{40}$',
  description: 'Authority key identifier',
})
export const anchorKind = words('ek', 'idevid', 'token', 'oidc')
export const tier = Type.Unsafe<Tier>({ type: 'string', enum: [...tiers] })
export const reason = Type.Unsafe<RevocationReason>({ type: 'string', enum: [...revocationReasons] })
export const time = Type.String({ format: 'date-time' })
export const count = Type.Integer({ minimum: 0 })
/** As long as fits into a query in any script: twelve bytes a character, of the 8 KiB that a request's head may have. */
export const comment = Type.String({ maxLength: 512, description: 'Why, for the audit log' })
/** Of every act of an operator: in its body, or in the query where that is no object with room for it. */
export const act = { comment: Type.Optional(comment) }
export const actQuery = strict(act)
export const topic = Type.String({ minLength: 1, maxLength: 1024 })
export const topicAction = words('publish', 'will', 'subscribe', 'receive')
export const qos = Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)])

export const labels = Type.Unsafe<Labels>({
  type: 'object',
  maxProperties: 32,
  propertyNames: { pattern: '^[A-Za-z0-9._-]{1,64}$' },
  additionalProperties: name,
})

/** One query language for devices and sessions; see ../../query/query.ts. */
export const queryText = Type.Optional(Type.String({ maxLength: 1024 }))
export const listQuery = strict({ q: queryText })

/** As a device has said it, in whatever characters. */
export const reported = Type.Unsafe<Labels>({ type: 'object', additionalProperties: { type: 'string' } })

/** An object with these fields and no other: a misspelt limit must not be no limit. */
export function strict<const Fields extends Parameters<typeof Type.Object>[0]>(fields: Fields) {
  return Type.Object(fields, { additionalProperties: false })
}

export function words<const Words extends readonly string[]>(...all: Words) {
  return Type.Unsafe<Words[number]>({ type: 'string', enum: all })
}
