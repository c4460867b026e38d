import Type from 'typebox'
import { type DiffPolicyRequest, type PolicyDiff, policyParts } from '#protocol'
import { count, deviceId, fingerprint, strict, words } from './fields.js'
import { held } from './held.js'
import { policyVersion } from './policies.js'

export const diffPolicyRequest = held<DiffPolicyRequest>()(
  strict({
    from: Type.Optional(policyVersion),
    to: Type.Optional(policyVersion),
    source: Type.Optional(Type.String({ description: 'A TopicPolicy as YAML or JSON, in the place of `to`' })),
    file: Type.Optional(Type.String({ maxLength: 256 })),
  }),
)

const side = strict({ version: count, hash: fingerprint })
const affected = strict({ count, first: Type.Array(deviceId) })

const change = strict({
    brings: words('more', 'less', 'other'),
    about: words('everyone', 'role', 'operators'),
    role: Type.Optional(Type.String()),
    effect: Type.Optional(words('allow', 'deny')),
    rule: Type.Optional(Type.String()),
    what: words(...policyParts),
    from: Type.Optional(Type.String()),
    to: Type.Optional(Type.String()),
    at: Type.Optional(Type.String()),
  })

export const policyDiff = held<PolicyDiff>()(
  strict({
    from: side,
    to: side,
    changes: Type.Array(change),
    devices: strict({ known: count, otherRoles: affected, more: affected, less: affected, other: affected }),
  }),
)
