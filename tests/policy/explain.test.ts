import assert from 'node:assert/strict'
import test from 'node:test'
import { type Decision, parseDeviceId, parseTopicFilter, parseTopicName } from '#protocol'
import type { Circumstances } from '../../policy/conditions/conditions.js'
import type { EffectivePolicy } from '../../policy/deciding/effective.js'
import { parsePolicy } from '../../policy/reading/parse.js'
import type { Question } from '../../policy/policy.js'
import { renderPolicy } from '../../policy/deciding/render.js'
import { seeded } from '../seeded.js'
import { type Random, randomQuestion, randomRole } from './random-policy.js'

test('explain tells the decision that is enforced, over random policies and questions', (t) => {
  const random = seeded(92)
  const effects = { allow: 0, deny: 0 }
  for (let round = 0; round < 300; round++) {
    const rights = randomRights(random)(pickOf(whereabouts, random))
    for (let at = 0; at < 20; at++) {
      const question = randomQuestion(random)
      const explained = rights.explain(question)
      const enforced = enforce(rights, question)
      assert.deepEqual(explained.decision, enforced, JSON.stringify(question))
      effects[enforced.effect]++
      const failed = new Map(explained.considered.map((rule) => [rule.rule, rule.failed]))
      if (enforced.effect === 'allow' || enforced.reason === 'denied') {
        for (const rule of enforced.rules) assert.equal(failed.get(rule), undefined, `${rule} decides`)
      }
    }
  }
  t.diagnostic(`explained and enforced alike: ${effects.allow} allowed, ${effects.deny} denied`)
  assert.ok(effects.allow > 500 && effects.deny > 500, JSON.stringify(effects))
})

test('what is allowed where a condition cannot be judged is allowed whether it holds or not', () => {
  const random = seeded(93)
  let allowed = 0
  for (let round = 0; round < 300; round++) {
    const rightsAt = randomRights(random)
    for (let at = 0; at < 20; at++) {
      const question = randomQuestion(random)
      const effectAt = (circumstances: Circumstances) => rightsAt(circumstances).explain(question).decision.effect
      if (effectAt({}) === 'deny') continue
      allowed++
      const effects = whereabouts.map(effectAt)
      assert.deepEqual(effects, ['allow', 'allow', 'allow'], JSON.stringify(question))
    }
  }
  assert.ok(allowed > 500, `only ${allowed} questions were allowed: the generator tests nothing`)
})

test('explain names the nearest rule, its place and what it lacks', () => {
  const policy = parsePolicy(
    `apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: p, version: 1 }
roles:
  r:
    allow:
      - { id: far, actions: [publish], topics: [a] }
      - { id: near, actions: [publish], topics: [b/#] }
bindings: [{ role: r, match: { tier: tpm } }]`,
    'p.yaml',
  )
  const rights = renderPolicy(policy, { id: parseDeviceId('d1'), tier: 'tpm', labels: {} })
  const question = { action: 'publish', topic: parseTopicName('b/c'), qos: 0, retain: true, size: 0 } as const
  assert.deepEqual(rights.explain(question), {
    decision: { effect: 'deny', reason: 'retain', rules: ['r/near'], policyVersion: 1 },
    considered: [
      { rule: 'r/far', effect: 'allow', at: 'p.yaml:7:9', failed: 'topic' },
      { rule: 'r/near', effect: 'allow', at: 'p.yaml:8:9', failed: 'retain' },
    ],
    nearest: { rule: 'r/near', at: 'p.yaml:8:9', failed: 'retain' },
  })
})

test('what nothing allows has a nearest rule: the one most like it', () => {
  const policy = parsePolicy(
    `apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: p, version: 1 }
roles:
  r:
    allow:
      - { id: all, actions: [publish], topics: ["z/#", "plant/\${device.id}/state"] }
      - { id: tele, actions: [publish], topics: ["plant/\${device.id}/telemetry/#"] }
      - { id: hear, actions: [subscribe, receive], topics: ["plant/+/state", "$share/g/plant/#"] }
    deny:
      - { id: no, actions: [publish], topics: [plant/+/firmware] }
bindings: [{ role: r, match: { tier: tpm } }]`,
    'p.yaml',
  )
  const rights = renderPolicy(policy, { id: parseDeviceId('d1'), tier: 'tpm', labels: {} })
  const nearest = (question: Question) => {
    const { rule, at, failed, filter } = rights.explain(question).nearest ?? {}
    return rule && [rule, at, failed, filter].join(' ')
  }
  const publish = (topic: string) =>
    nearest({ action: 'publish', topic: parseTopicName(topic), qos: 0, retain: false, size: 0 })
  const subscribe = (filter: string) => nearest({ action: 'subscribe', filter: parseTopicFilter(filter), qos: 0 })
  assert.equal(publish('plant/d2/state'), 'r/all p.yaml:7:9 topic plant/d1/state')
  assert.equal(publish('plants/d1/telemetry/x'), 'r/tele p.yaml:8:9 topic plant/d1/telemetry/#')
  assert.equal(publish('y'), undefined)
  assert.equal(publish('plant/d1/firmware'), undefined) // a deny says it all
  assert.equal(publish('plant/d1/state'), undefined)
  assert.equal(subscribe('plant/#'), 'r/hear p.yaml:9:9 topic plant/+/state')
  assert.equal(subscribe('$share/h/plant/x'), 'r/hear p.yaml:9:9 topic $share/g/plant/#')
})

function enforce(rights: EffectivePolicy, question: Question): Decision {
  switch (question.action) {
    case 'publish':
      return rights.publish(question)
    case 'will':
      return rights.will(question)
    case 'subscribe':
      return rights.subscribe(question.filter, question.qos)
    case 'receive':
      return rights.receive(question.topic)
  }
}

/** Not known, inside of the network that the policy names, and outside. */
const whereabouts: readonly Circumstances[] = [{}, { from: '10.1.2.3' }, { from: '192.0.2.1' }]

function pickOf<T extends object>(from: readonly T[], random: Random): T {
  const [picked] = from.slice(random(from.length))
  assert.ok(picked)
  return picked
}

/** Of a role that is always bound and one that is bound under a condition. */
function randomRights(random: Random): (circumstances: Circumstances) => EffectivePolicy {
  const content = {
    apiVersion: 'touchmark/v1',
    kind: 'TopicPolicy',
    metadata: { name: 'random', version: 1 },
    onOverlap: random(2) === 0 ? 'filter' : 'reject',
    roles: { r: randomRole(random), c: randomRole(random) },
    bindings: [
      { role: 'r', match: { tier: 'tpm' } },
      { role: 'c', match: { tier: 'tpm' }, when: { cidr: '10.0.0.0/8' } },
    ],
  }
  const policy = parsePolicy(JSON.stringify(content), 'random.json')
  return (circumstances) => renderPolicy(policy, { id: parseDeviceId('d1'), tier: 'tpm', labels: {} }, circumstances)
}
