export { always, type Circumstances, isWithin, shorter, type Term } from './conditions/conditions.js'
export { rolesOf } from './deciding/bound-roles.js'
export { covered, type Levels, overlaps } from './matching/containment.js'
export { defaultPolicy } from './default-policy.js'
export { plain, readDocument } from './reading/document.js'
export { AffectedDevices } from './diff/devices.js'
export { diffPolicies } from './diff/policies.js'
export { EffectivePolicy, type QosDecision } from './deciding/effective.js'
export { PolicyError, type PolicyErrorCode } from './errors.js'
export { policyHash } from './hash.js'
export { parseAddress } from './conditions/networks.js'
export type { Grant } from './operators/operator-policy.js'
export { everyRight, operatorRights, OperatorRights, Reach } from './operators/operator-rights.js'
export { parsePolicy } from './reading/parse.js'
export {
  type DeviceAttributes,
  type Discovering,
  type Message,
  type Offer,
  policyLimits,
  type PolicyTest,
  type Qos,
  type Question,
  type Rate,
  type TopicPolicy,
} from './policy.js'
export { RateLimiter } from './deciding/rate-limiter.js'
export { renderPolicy } from './deciding/render.js'
export { policySchema } from './schema/schema.js'
export { ImpactTally } from './shadow/impact.js'
export type { LiveSession, LiveSubscription } from './shadow/live-session.js'
export { readObserved } from './shadow/observed.js'
export { DecisionSample } from './shadow/sample.js'
export { Shadow } from './shadow/shadow.js'
export { SharedLabels } from './suggest/shared-labels.js'
export { suggestPolicy } from './suggest/suggest.js'
export { PolicyUsage } from './suggest/usage.js'
export { runPolicyTests, type TestCase, type TestReport } from './self-test.js'
export { parseTime } from './reading/values.js'
export { withVersion } from './reading/with-version.js'
