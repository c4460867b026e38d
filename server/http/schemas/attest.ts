import Type from 'typebox'
import {
  type ApplyPcrPolicyAnswer,
  type AttestationView,
  type LearnPcrsAnswer,
  type LearnPcrsRequest,
  pcrOutcomes,
  pcrPolicyModes,
  type PcrPolicySourceView,
  type PcrPolicyView,
  type TpmMakerView,
} from '#protocol'
import { act, comment, count, deviceId, fingerprint, operatorName, profile, strict, tier, time, words } from './fields.js'
import { held } from './held.js'

const policyName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' })
const mode = words(...pcrPolicyModes)
const pcr = Type.Integer({ minimum: 0, maximum: 23 })
const text = Type.String()

const tpmMaker = held<TpmMakerView>()(
  strict({
    id: text,
    name: Type.Optional(text),
    kind: words('chip', 'virtual', 'own'),
    roots: Type.Array(strict({ subject: text, fingerprint, notAfter: time })),
    intermediates: count,
    forgiven: Type.Array(words('ekUsageMissing', 'expiredAuthorities')),
  }),
)
export const tpmMakerList = Type.Unsafe<readonly TpmMakerView[]>(Type.Array(tpmMaker))

export const pcrPolicyParams = strict({ id: policyName })

const policy = {
  name: policyName,
  version: count,
  mode,
  profiles: Type.Array(profile),
  pcrs: Type.Array(pcr),
  hash: fingerprint,
  since: time,
  by: operatorName,
  comment: Type.Optional(comment),
}
const view = strict(policy)
const sourceView = strict({ ...policy, source: text })
export const pcrPolicyView = held<PcrPolicyView>()(view)
export const pcrPolicySourceView = held<PcrPolicySourceView>()(sourceView)
export const pcrPolicyList = Type.Unsafe<readonly PcrPolicyView[]>(Type.Array(pcrPolicyView))
export const pcrPolicySource = Type.String({ description: 'A PCR policy as YAML or JSON' })

/** A dry run changes nothing. */
export const applyPcrPolicyQuery = strict({ dryRun: Type.Optional(words('true', 'false')), ...act })

export const applyPcrPolicyAnswer = held<ApplyPcrPolicyAnswer>()(
  strict({
    policy: view,
    dryRun: Type.Boolean(),
    changed: Type.Boolean(),
    wouldFail: Type.Array(deviceId),
  }),
)

export const learnPcrsRequest = held<LearnPcrsRequest>()(
  strict({
    device: deviceId,
    policy: Type.Optional(policyName),
    from: Type.Optional(time),
    until: Type.Optional(time),
    dryRun: Type.Optional(Type.Boolean()),
    ...act,
  }),
)

export const learnPcrsAnswer = held<LearnPcrsAnswer>()(
  strict({ policy: sourceView, learned: Type.Array(pcr), dryRun: Type.Boolean() }),
)

/** Stands in other schemas, and is held to its type with them. */
export const verdict = strict({
  outcome: words(...pcrOutcomes),
  policy: Type.Optional(strict({ name: text, version: count, mode })),
  reasons: Type.Array(text),
  at: time,
})

export const attestationView = held<AttestationView>()(
  strict({
    device: deviceId,
    tier: Type.Optional(tier),
    ek: Type.Optional(fingerprint),
    maker: Type.Optional(text),
    tpm: Type.Optional(
      strict({ firmware: text, resetCount: count, restartCount: count, clock: count, safe: Type.Boolean() }),
    ),
    verdict: Type.Optional(verdict),
    pcrs: Type.Array(strict({ pcr, value: text, replays: Type.Optional(Type.Boolean()) })),
    events: Type.Optional(
      Type.Array(strict({ pcr: count, type: text, digest: text, text, measured: Type.Boolean() })),
    ),
  }),
)
