import Type from 'typebox'
import {
  type ApplyPolicyAnswer,
  denyReasons,
  type ExplainRequest,
  type Explanation,
  type KeptPolicyView,
  type PolicyVersionView,
  type PolicyView,
  type RollbackPolicyAnswer,
  type RollbackPolicyRequest,
} from '#protocol'
import {
  act,
  count,
  deviceId,
  fingerprint,
  labels,
  operatorName,
  qos,
  strict,
  tier,
  time,
  topic,
  words,
} from './fields.js'
import { held } from './held.js'

export const policySource = Type.String({ description: 'A TopicPolicy as YAML or JSON' })

export const policyView = held<PolicyView>()(strict({ version: count, hash: fingerprint, source: Type.String() }))

/** The file as it is, YAML or JSON; a dry run changes nothing. */
export const applyPolicyQuery = strict({
  dryRun: Type.Optional(words('true', 'false')),
  file: Type.Optional(Type.String({ maxLength: 256 })),
  ...act,
})

const applied = {
  version: count,
  hash: fingerprint,
  tests: strict({ passed: count }),
  dryRun: Type.Boolean(),
  sessions: count,
}

export const applyPolicyAnswer = held<ApplyPolicyAnswer>()(strict(applied))

export const policyVersion = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })

export const rollbackPolicyRequest = held<RollbackPolicyRequest>()(
  strict({ version: Type.Optional(policyVersion), dryRun: Type.Optional(Type.Boolean()), ...act }),
)

export const rollbackPolicyAnswer = held<RollbackPolicyAnswer>()(strict({ ...applied, restores: count }))

const known = {
  version: count,
  inForce: Type.Boolean(),
  since: Type.Optional(time),
  operator: Type.Optional(operatorName),
  peer: Type.Optional(Type.String()),
  comment: Type.Optional(Type.String()),
  hash: Type.Optional(fingerprint),
  tests: Type.Optional(count),
  restores: Type.Optional(count),
  record: Type.Optional(count),
}

export const policyVersions = Type.Array(held<PolicyVersionView>()(strict(known)))
export const keptPolicy = held<KeptPolicyView>()(strict({ ...known, source: Type.String() }))
/** As text, because it stands in the path. */
export const versionParams = strict({ id: Type.String({ pattern: '^[1-9]\\d{0,15}$' }) })

export const explainRequest = held<ExplainRequest>()(
  strict({
    as: strict({ id: deviceId, tier: Type.Optional(tier), labels: Type.Optional(labels) }),
    action: words('publish', 'will', 'subscribe', 'receive', 'discover'),
    topic,
    qos: Type.Optional(qos),
    retain: Type.Optional(Type.Boolean()),
    size: Type.Optional(count),
    from: Type.Optional(Type.String({ maxLength: 64, description: 'The IP address of a client' })),
    at: Type.Optional(Type.String({ maxLength: 64, description: 'Another moment than now, as in RFC 3339' })),
  }),
)

const rules = Type.Array(Type.String())

const failure = words('topic', 'service', 'qos', 'retain', 'size', 'rate', 'condition')

export const explanation = held<Explanation>()(
  strict({
    decision: Type.Union([
      strict({ effect: Type.Literal('allow'), rules, policyVersion: count, answerMs: Type.Optional(count) }),
      strict({
        effect: Type.Literal('deny'),
        reason: words(...denyReasons),
        rules,
        policyVersion: count,
      }),
    ]),
    considered: Type.Array(
      strict({
        rule: Type.String(),
        effect: words('allow', 'deny'),
        at: Type.String(),
        failed: Type.Optional(failure),
      }),
    ),
    nearest: Type.Optional(
      strict({ rule: Type.String(), at: Type.String(), failed: failure, filter: Type.Optional(Type.String()) }),
    ),
  }),
)
