export { always, type Circumstances, isWithin, shorter, type Term } from './conditions.js'
export { rolesOf } from './bound-roles.js'
export { covered, type Levels, overlaps } from './containment.js'
export { defaultPolicy } from './default-policy.js'
export { plain, readDocument } from './document.js'
export { AffectedDevices } from './diff/devices.js'
export { diffPolicies } from './diff/policies.js'
export { EffectivePolicy, type QosDecision } from './effective.js'
export { PolicyError, type PolicyErrorCode } from './errors.js'
export { policyHash } from './hash.js'
export { parseAddress } from './networks.js'
export type { Grant } from './operator-policy.js'
export { everyRight, operatorRights, OperatorRights, Reach } from './operator-rights.js'
export { parsePolicy } from './parse.js'
export {
  type DeviceAttributes,
  type Message,
  policyLimits,
  type PolicyTest,
  type Qos,
  type Question,
  type Rate,
  type TopicPolicy,
} from './policy.js'
export { RateLimiter } from './rate-limiter.js'
export { renderPolicy } from './render.js'
export { policySchema } from './schema.js'
export { ImpactTally } from './shadow/impact.js'
export type { LiveSession, LiveSubscription } from './shadow/live-session.js'
export { readObserved } from './shadow/observed.js'
export { DecisionSample } from './shadow/sample.js'
export { Shadow } from './shadow/shadow.js'
export { SharedLabels } from './suggest/shared-labels.js'
export { suggestPolicy } from './suggest/suggest.js'
export { PolicyUsage } from './suggest/usage.js'
export { runPolicyTests, type TestCase, type TestReport } from './self-test.js'
export { parseTime } from './values.js'
export { withVersion } from './with-version.js'
