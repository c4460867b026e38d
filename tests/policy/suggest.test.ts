import assert from 'node:assert/strict'
import test from 'node:test'
import { type Labels, parseDeviceId, parseTopicFilter, parseTopicName, type PolicySuggestion } from '#protocol'
import type { Circumstances } from '../../policy/conditions/conditions.js'
import { parsePolicy } from '../../policy/reading/parse.js'
import type { DeviceAttributes, Qos, Question } from '../../policy/policy.js'
import { renderPolicy } from '../../policy/deciding/render.js'
import { diffLines } from '../../policy/suggest/line-diff.js'
import { suggestPolicy } from '../../policy/suggest/suggest.js'
import { TopicTree } from '../../policy/suggest/topic-tree.js'
import { PolicyUsage } from '../../policy/suggest/usage.js'
import { seeded } from '../seeded.js'
import { type Random, randomQuestion, randomRole } from './random-policy.js'

test('what is proposed is a policy, allows all that was seen, and nothing that was not allowed before', () => {
  const random = seeded(71)
  const told = { seen: 0, removed: 0, narrowed: 0, refused: 0 }
  for (let round = 0; round < 300; round++) {
    const source = randomSource(random)
    const policy = parsePolicy(source, 'random.json')
    const usage = new PolicyUsage(policy, () => new Set(['site']))
    const seen: { device: DeviceAttributes; at: Circumstances; question: Question }[] = []
    for (let count = random(25); count > 0; count--) {
      const [device, at] = [pick(devices, random), pick(whereabouts, random)]
      const asked = randomQuestion(random)
      const decision = renderPolicy(policy, device, at).judge(asked)
      if (decision.effect === 'deny') continue
      const qos = 'qos' in decision ? (decision.qos as Qos) : 0
      const question = asked.action === 'subscribe' ? { ...asked, qos } : asked
      const rules = random(4) === 0 ? [] : decision.rules
      usage.add(device, { question, rules, count: 1, at: undefined })
      seen.push({ device, at, question })
    }
    const { source: proposed, rules } = suggestPolicy({ policy, source, usage, role: undefined })
    const proposal = parsePolicy(proposed, 'proposal.yaml')
    assert.equal(usage.notAllowedNow, 0)
    for (const { device, at, question } of seen) {
      const decision = renderPolicy(proposal, device, at).judge(question)
      assert.equal(decision.effect, 'allow', `${JSON.stringify(question)} of ${device.id}\n${source}\n${proposed}`)
      if (question.action === 'subscribe') assert.equal('qos' in decision && decision.qos, question.qos, proposed)
    }
    for (let count = 0; count < 40; count++) {
      const [device, at, question] = [pick(devices, random), pick(whereabouts, random), randomQuestion(random)]
      if (renderPolicy(proposal, device, at).judge(question).effect === 'deny') told.refused++
      else assert.equal(renderPolicy(policy, device, at).judge(question).effect, 'allow', JSON.stringify(question))
    }
    told.seen += seen.length
    told.removed += rules.filter(({ proposal }) => proposal === 'remove').length
    told.narrowed += rules.filter(({ proposal }) => proposal === 'narrow').length
  }
  assert.ok(told.seen > 500 && told.removed > 100 && told.narrowed > 100, JSON.stringify(told))
})

test('levels become the variables they are, and many words in one place become +', () => {
  const topics = (...seen: readonly (readonly [device: string, topic: string])[]) => {
    const use = usageOf(`
      - { id: all, actions: [publish], topics: ["fleet/#"] }`)
    for (const [device, topic] of seen) use.publish(device, topic)
    return use.suggest().rules.map((rule) => rule.topics)
  }
  assert.deepEqual(topics(['d1', 'fleet/oslo/d1/t'], ['d2', 'fleet/oslo/d2/t']), [
    ['fleet/${device.labels.site}/${device.id}/t'],
  ])
  const many = Array.from({ length: 9 }, (_, at) => ['d1', `fleet/d1/sensor-${at}/t`] as const)
  assert.deepEqual(topics(...many), [['fleet/${device.id}/+/t']])
  assert.deepEqual(topics(...many.slice(0, 2)), [['fleet/${device.id}/sensor-0/t', 'fleet/${device.id}/sensor-1/t']])
})

test('a label that not every device of the role has is never made a variable: it would take the role away', () => {
  const use = usageOf(
    `
      - { id: all, actions: [publish], topics: ["fleet/#"] }`,
    [],
  )
  use.publish('d1', 'fleet/oslo/t')
  assert.deepEqual(use.suggest().rules[0]?.topics, ['fleet/oslo/t'])
})

test('what a device says as if it were a variable is a word like any other', () => {
  const use = usageOf(`
      - { id: all, actions: [publish], topics: ["fleet/+/t"], qos: { max: 0 } }`)
  use.publish('d1', 'fleet/${device.labels.secret}/t')
  const { rules, source } = use.suggest()
  assert.deepEqual([rules[0]?.proposal, rules[0]?.topics], ['keep', ['fleet/+/t']])
  parsePolicy(source, 'p.yaml')
})

test('the diff takes away rules that were not used, and of others what was not needed, comments and all', () => {
  const use = usageOf(`
      # what it measures
      - { id: tele, actions: [publish, will], topics: ["t/\${device.id}/#"], retain: true, qos: { max: 1 } }
      - { id: old, actions: [publish], topics: ["old/#"] } # since 2019
      - { id: cmd, actions: [subscribe, receive], topics: ["cmd/\${device.id}/#"] }`)
  use.publish('d1', 't/d1/heat')
  use.subscribe('d1', 'cmd/d1/#')
  const { diff, rules, failingTests } = use.suggest()
  assert.deepEqual(
    rules.map(({ rule, proposal }) => `${rule} ${proposal}`),
    ['r/cmd narrow', 'r/old remove', 'r/tele narrow'],
  )
  assert.deepEqual(failingTests, [])
  assert.equal(
    diff,
    `--- policy.yaml
+++ proposal.yaml
@@ -1,12 +1,11 @@
 apiVersion: touchmark/v1
 kind: TopicPolicy
-metadata: { name: p, version: 1 }
+metadata: { name: p, version: 2 }
 roles:
   r:
     allow:
       # what it measures
-      - { id: tele, actions: [ publish, will ], topics: [ "t/\${device.id}/#" ], retain: true, qos: { max: 1 } }
-      - { id: old, actions: [ publish ], topics: [ "old/#" ] } # since 2019
-      - { id: cmd, actions: [ subscribe, receive ], topics: [ "cmd/\${device.id}/#" ] }
+      - { id: tele, actions: [ publish ], topics: [ "t/\${device.id}/heat" ], qos: { max: 0 } }
+      - { id: cmd, actions: [ subscribe, receive ], topics: [ "cmd/\${device.id}/#" ], qos: { max: 0 } }
 bindings: [ { role: r, match: { tier: tpm } } ]
 
`,
  )
})

test('a test that the proposal would fail is named, and stays in the file', () => {
  const use = usageOf(
    `
      - { id: a, actions: [publish], topics: [a, b] }`,
    ['site'],
    `tests: [{ as: { id: d1, tier: tpm }, publish: b, expect: allow }]`,
  )
  use.publish('d1', 'a')
  const { failingTests, source } = use.suggest()
  assert.match(failingTests.join('\n'), /^proposal\.yaml:\d+:\d+: expected allow, got deny \(no_rule\)$/)
  assert.equal(parsePolicy(source, 'p.yaml').tests.length, 1)
})

test('only the role that is asked for is touched, and never the one for quarantine', () => {
  const source = `apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: p, version: 1 }
roles:
  r: { allow: [{ id: a, actions: [publish], topics: [a] }] }
  s: { allow: [{ id: a, actions: [publish], topics: [a] }] }
  repair: { allow: [{ id: a, actions: [publish], topics: [a] }] }
quarantine: { role: repair }
bindings: [{ role: r, match: { tier: tpm } }, { role: s, match: { tier: tpm } }]
`
  const policy = parsePolicy(source, 'policy.yaml')
  const suggest = (role?: string) => {
    const usage = new PolicyUsage(policy, () => new Set())
    return suggestPolicy({ policy, source, usage, role }).rules.map(({ rule }) => rule)
  }
  assert.deepEqual([suggest(), suggest('s'), suggest('repair')], [['r/a', 's/a'], ['s/a'], []])
})

test('very many topics take bounded memory, and leave a rule as it is', () => {
  const tree = new TopicTree()
  const random = seeded(72)
  for (let at = 0; at < 20_000; at++) {
    tree.add(Array.from({ length: 1 + random(100) }, () => `${random(8)}`))
  }
  assert.equal(tree.filters(), undefined)
  const words = new TopicTree()
  for (let at = 0; at < 20_000; at++) words.add(['a', `${at}`, 'b'])
  assert.deepEqual(words.filters(), [['a', '+', 'b']])
})

test('a diff has what goes and what comes with the lines around, and nothing where nothing changes', () => {
  const names = ['a', 'b'] as const
  assert.equal(diffLines('x\ny\n', 'x\ny\n', names), '')
  assert.equal(
    diffLines('1\n2\n3\n4\n5\n6', '1\n2\n3\n4\nfive\n6', names),
    '--- a\n+++ b\n@@ -2,5 +2,5 @@\n 2\n 3\n 4\n-5\n+five\n 6\n',
  )
  assert.equal(diffLines('a', 'b', names), '--- a\n+++ b\n@@ -1,1 +1,1 @@\n-a\n+b\n')
})

const devices: readonly DeviceAttributes[] = [
  device('d1', { site: 'a' }),
  device('a', { site: 'b' }),
  device('b', { site: 'b' }),
]
/** Not known, inside of the network that the policy names, and outside. */
const whereabouts: readonly Circumstances[] = [{}, { from: '10.1.2.3' }, { from: '192.0.2.1' }]

function device(id: string, labels: Labels): DeviceAttributes {
  return { id: parseDeviceId(id), tier: 'tpm', labels }
}

function pick<T>(list: readonly T[], random: Random): T {
  const [picked] = list.slice(random(list.length))
  assert.ok(picked !== undefined)
  return picked
}

function randomSource(random: Random): string {
  return JSON.stringify({
    ...{ apiVersion: 'touchmark/v1', kind: 'TopicPolicy', metadata: { name: 'random', version: 1 } },
    onOverlap: random(2) === 0 ? 'filter' : 'reject',
    roles: { r: randomRole(random), c: randomRole(random) },
    bindings: [
      { role: 'r', match: { tier: 'tpm' } },
      { role: 'c', match: { tier: 'tpm' }, when: { cidr: '10.0.0.0/8' } },
    ],
  })
}

/** A role of these rules, and what devices do with it. */
function usageOf(allow: string, labels: readonly string[] = ['site'], rest = '') {
  const source = `apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: p, version: 1 }
roles:
  r:
    allow:${allow}
bindings: [{ role: r, match: { tier: tpm } }]
${rest}`
  const policy = parsePolicy(source, 'policy.yaml')
  const usage = new PolicyUsage(policy, () => new Set(labels))
  const add = (id: string, question: Question) => {
    usage.add(device(id, { site: 'oslo' }), { question, rules: [], count: 1, at: undefined })
  }
  return {
    publish: (id: string, topic: string) => {
      add(id, { action: 'publish', topic: parseTopicName(topic), qos: 0, retain: false, size: 1 })
    },
    subscribe: (id: string, filter: string) =>
      add(id, { action: 'subscribe', filter: parseTopicFilter(filter), qos: 0 }),
    suggest: (): Pick<PolicySuggestion, 'rules' | 'source' | 'diff' | 'failingTests'> =>
      suggestPolicy({ policy, source, usage, role: undefined }),
  }
}
