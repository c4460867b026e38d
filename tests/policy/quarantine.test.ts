import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDeviceId, parseTopicFilter, parseTopicName } from '#protocol'
import { type DeviceAttributes, parsePolicy, renderPolicy } from '#policy'

const policy = (quarantine: string) =>
  parsePolicy(
    `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: q, version: 1 }
roles:
  sensor:
    sessions: { max: 3 }
    allow:
      - { id: say, actions: [publish], topics: ["f/\${device.id}/#"] }
    deny:
      - { id: never, actions: [publish], topics: ["f/+/repair"] }
  repair:
    sessions: { max: 2 }
    allow:
      - { id: mend, actions: [publish, subscribe, receive], topics: ["f/\${device.id}/repair", "f/\${device.labels.line}/repair"] }
bindings:
  - { role: sensor, match: { tier: token } }
${quarantine}
`,
    'q.yaml',
  )

const device = (over: Partial<DeviceAttributes> = {}): DeviceAttributes => ({
  ...{ id: parseDeviceId('d1'), tier: 'token', labels: { line: '4' } },
  ...over,
})

const publish = (topic: string) => ({ topic: parseTopicName(topic), qos: 0, retain: false, size: 0 }) as const

test('in quarantine the one role that the policy names counts, and nothing that is bound, its denies included', () => {
  const rights = renderPolicy(policy('quarantine: { role: repair }'), device({ quarantined: true }))
  assert.deepEqual([rights.maxSessions, rights.quarantined], [2, true])
  assert.equal(rights.publish(publish('f/d1/repair')).effect, 'allow')
  const denied = rights.publish(publish('f/d1/temperature'))
  assert.ok(denied.effect === 'deny' && denied.reason === 'quarantined')
  const subscribed = rights.subscribe(parseTopicFilter('x/#'), 0)
  assert.ok(subscribed.effect === 'deny' && subscribed.reason === 'quarantined')

  const free = renderPolicy(policy('quarantine: { role: repair }'), device())
  assert.equal(free.publish(publish('f/d1/temperature')).effect, 'allow')
  assert.equal(free.publish(publish('f/d1/repair')).effect, 'deny', 'the role is for quarantine alone')
})

test('in quarantine nothing is allowed where the policy names no role, or the role cannot be filled in', () => {
  const rights = [
    renderPolicy(policy(''), device({ quarantined: true })),
    renderPolicy(policy('quarantine: { role: repair }'), device({ quarantined: true, labels: {} })),
  ]
  for (const { publish: ask } of rights.map((one) => ({ publish: one.publish.bind(one) }))) {
    assert.equal(ask(publish('f/d1/repair')).effect, 'deny')
    assert.equal(ask(publish('f/d1/temperature')).effect, 'deny')
  }
})

test('a role for quarantine that is none is refused, by line and column', () => {
  const refused = (text: string, code: string, message: RegExp) => assert.throws(() => policy(text), { code, message })
  refused('quarantine: { role: mend }', 'POLICY_UNKNOWN_ROLE', /^q\.yaml:18:21/)
  refused('quarantine: {}', 'POLICY_INVALID_VALUE', /^q\.yaml:18:/)
  refused('quarantine: repair', 'POLICY_INVALID_VALUE', /^q\.yaml:18:/)
  refused('quarantine: { role: repair, when: {} }', 'POLICY_UNKNOWN_KEY', /^q\.yaml:18:/)
})

test("a policy's own tests can ask about a device in quarantine", () => {
  const ask = (expect: string) =>
    policy(
      `quarantine: { role: repair }\ntests:\n  - { as: { id: d1, tier: token, quarantined: true }, publish: f/d1/x, expect: ${expect} }`,
    ).tests[0]
  assert.equal(ask('deny, reason: quarantined')?.as.quarantined, true)
})
