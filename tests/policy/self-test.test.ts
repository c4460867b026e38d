import assert from 'node:assert/strict'
import test from 'node:test'
import { parsePolicy } from '../../policy/reading/parse.js'
import { runPolicyTests } from '../../policy/self-test.js'

const policyWith = (tests: string): string =>
  `apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: p, version: 1 }
roles:
  r: { allow: [{ id: a, actions: [publish, subscribe, receive], topics: ["t/\${device.id}"] }] }
bindings: [{ role: r, match: { tier: tpm } }]
tests:
${tests}`

test('a failing test names its line and what came instead', () => {
  const report = runPolicyTests(
    parsePolicy(
      policyWith(`  - { as: { id: d1, tier: tpm }, publish: t/d1, expect: allow, by: r/a }
  - { as: { id: d1, tier: tpm }, publish: t/d1, expect: deny }
  - { as: { id: d1, tier: tpm }, publish: t/d1, expect: allow, by: b }
  - { as: { id: d1, tier: tpm }, subscribe: "#", expect: deny, reason: qos }
  - { as: { id: d1, tier: tpm }, receive: t/d2, expect: allow }
`),
      'p.yaml',
    ),
  )
  assert.equal(report.passed, 1)
  assert.deepEqual(
    report.failed.map(({ at }) => at),
    ['p.yaml:9:5', 'p.yaml:10:5', 'p.yaml:11:5', 'p.yaml:12:5'],
  )
  assert.equal(report.failed[2]?.problem, 'expected deny because of qos, got deny (not_contained)')
})

test('refuses a test that asks nothing, two things, or about no real topic', () => {
  const code = (tests: string) => {
    try {
      parsePolicy(policyWith(tests), 'p.yaml')
      return 'accepted'
    } catch (error) {
      return error instanceof Error && 'code' in error ? error.code : error
    }
  }
  assert.equal(code('  - { as: { id: d1, tier: tpm }, expect: deny }'), 'POLICY_INVALID_VALUE')
  assert.equal(code('  - { as: { id: d1, tier: tpm }, publish: a, receive: a, expect: deny }'), 'POLICY_INVALID_VALUE')
  assert.equal(code('  - { as: { id: d1, tier: tpm }, publish: a/+, expect: deny }'), 'POLICY_INVALID_TOPIC')
  assert.equal(code('  - { as: { id: "+", tier: tpm }, publish: a, expect: deny }'), 'POLICY_INVALID_VALUE')
  assert.equal(code('  - { as: { id: d1, tier: tpm }, publish: a, expect: perhaps }'), 'POLICY_INVALID_VALUE')
})
