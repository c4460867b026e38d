import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDeviceId, parseTopicFilter, parseTopicName } from '#protocol'
import { defaultPolicy, parsePolicy, policyHash, renderPolicy, runPolicyTests } from '#policy'

const policy = parsePolicy(defaultPolicy, 'policy.yaml')

test('the policy of a first run passes its own tests', () => {
  const { passed, failed } = runPolicyTests(policy)
  assert.deepEqual({ passed, failed }, { passed: 12, failed: [] })
})

test('the policy of a first run lets a device talk on its own topics and on no others', () => {
  const rights = renderPolicy(policy, { id: parseDeviceId('d1'), tier: 'token', labels: {} })
  const message = { qos: 1, retain: false, size: 10 } as const
  assert.equal(rights.maxSessions, 4)
  assert.deepEqual(rights.renderErrors, [])
  assert.equal(rights.publish({ ...message, topic: parseTopicName('devices/d1/telemetry/t') }).effect, 'allow')
  assert.equal(rights.publish({ ...message, topic: parseTopicName('devices/d2/telemetry/t') }).effect, 'deny')
  assert.deepEqual(rights.subscribe(parseTopicFilter('devices/d1/cmd/#'), 2), {
    effect: 'allow',
    qos: 2,
    rules: ['device/commands'],
    policyVersion: 1,
  })
  assert.equal(rights.subscribe(parseTopicFilter('#'), 0).effect, 'deny')
  assert.equal(rights.receive(parseTopicName('devices/d1/cmd/reboot')).effect, 'allow')
  assert.equal(rights.receive(parseTopicName('devices/d2/cmd/reboot')).effect, 'deny')
})

test('the hash names the content, not the layout', () => {
  const asJson = JSON.stringify(policy.content, null, '\t')
  assert.equal(policyHash(parsePolicy(asJson, 'policy.json')), policyHash(policy))
})
