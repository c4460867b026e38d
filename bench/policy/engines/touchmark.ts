import { type EffectivePolicy, parsePolicy, RateLimiter, renderPolicy, type TopicPolicy } from '#policy'
import { parseDeviceId, type TopicName } from '#protocol'
import { asking, type Engine } from './engine.js'

/** Of a role, by the limits of a policy file. */
const rulesPerRole = 50

/** The rules of the asking device, with variables in the place of its names; spread over roles as a file has to. */
export function policyOf(rules: number): TopicPolicy {
  const roles = Array.from({ length: Math.ceil(rules / rulesPerRole) }, (_, role) =>
    Array.from({ length: Math.min(rulesPerRole, rules - role * rulesPerRole) }, (_, at) => role * rulesPerRole + at),
  )
  const allow = (rule: number) =>
    `      - { id: rule-${rule}, actions: [publish, subscribe, receive], qos: { max: 1 }, ` +
    `topics: ["fleet/\${device.labels.site}/\${device.id}/channel-${rule}/#"] }`
  return parsePolicy(
    `apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: bench, version: 1 }
roles:
${roles.map((own, role) => `  role-${role}:\n    allow:\n${own.map(allow).join('\n')}`).join('\n')}
bindings:
${roles.map((_, role) => `  - { role: role-${role}, match: { tier: token } }`).join('\n')}
`,
    'policy.yaml',
  )
}

export function rightsOf(policy: TopicPolicy, id: string = asking.device): EffectivePolicy {
  const labels = { site: asking.site }
  return renderPolicy(policy, { id: parseDeviceId(id), tier: 'token', labels }, {}, new RateLimiter({ now: () => 0 }))
}

/** What the broker asks for every message: constraints are looked at, and the answer names its rule. */
export const touchmark: Engine = {
  name: 'Touchmark',
  prepare(filters) {
    const rights = rightsOf(policyOf(filters.length))
    return (topic: TopicName) => rights.publish({ topic, qos: 1, retain: false, size: 64 }).effect === 'allow'
  },
}
