import assert from 'node:assert/strict'
import test from 'node:test'
import {
  type DeviceId,
  filterMatches,
  type Labels,
  parseDeviceId,
  parseFingerprint,
  parseTopicFilter,
  parseTopicName,
  type TopicName,
} from '#protocol'
import type { LiveSession } from '../../policy/shadow/live-session.js'
import { parsePolicy } from '../../policy/reading/parse.js'
import { type DeviceAttributes, type Question } from '../../policy/policy.js'
import { renderPolicy } from '../../policy/deciding/render.js'
import { ImpactTally } from '../../policy/shadow/impact.js'
import { readObserved } from '../../policy/shadow/observed.js'
import { receivedOnlyIn } from '../../policy/shadow/reach.js'
import { DecisionSample } from '../../policy/shadow/sample.js'
import { Shadow } from '../../policy/shadow/shadow.js'
import { seeded } from '../seeded.js'
import { type Random, randomQuestion, randomRole } from './random-policy.js'
import { sequences } from './sequences.js'

test('what a subscription gains and loses is what brute force over topics says', () => {
  const random = seeded(51)
  const topics = sequences(['a', 'b', 'd1', 'z', '$z'], 4).map((levels) => parseTopicName(levels.join('/')))
  const told = { same: 0, less: 0 }
  for (let round = 0; round < 200; round++) {
    const [one, other] = [randomPolicy(random), randomPolicy(random)].map((policy) => renderPolicy(policy, d1))
    assert.ok(one && other)
    for (const filter of ['#', 'a/#', '+/d1', 'b/+/#', '+/+'].map(parseTopicFilter)) {
      const levels = filter.split('/')
      const lost: TopicName | undefined = topics.find(
        (topic) =>
          filterMatches(levels, topic.split('/')) &&
          one.receive(topic).effect === 'allow' &&
          other.receive(topic).effect === 'deny',
      )
      const difference = receivedOnlyIn(one.receiving(filter), other.receiving(filter), levels)
      assert.equal(difference !== undefined, lost !== undefined, `${filter} ${lost}`)
      told[difference ? 'less' : 'same']++
    }
  }
  assert.ok(told.same > 100 && told.less > 100, JSON.stringify(told))
})

test('the totals are what each policy decides when it is enforced, over random policies and traffic', () => {
  const random = seeded(52)
  let changes = 0
  for (let round = 0; round < 100; round++) {
    const [inForce, candidate] = [randomPolicy(random), randomPolicy(random)]
    const tally = new ImpactTally(new Shadow({ inForce, candidate, attributesOf: () => d1, at: 0 }))
    const expected = { gain: 0, lose: 0 }
    for (let at = 0; at < 50; at++) {
      const question = randomQuestion(random)
      const [now, then] = [inForce, candidate].map((policy) => enforce(policy, question))
      if (now !== then) expected[then === 'allow' ? 'gain' : 'lose']++
      tally.decision(decided(question), { from: undefined, isLive: false })
    }
    const { decisions, changes: told } = tally.impact(about)
    assert.deepEqual({ gain: decisions.gain, lose: decisions.lose }, expected)
    assert.equal(
      told.reduce((sum, { count }) => sum + count, 0),
      expected.gain + expected.lose,
    )
    changes += expected.gain + expected.lose
  }
  assert.ok(changes > 500, `only ${changes} changes: the generator tests nothing`)
})

test('rates are not spent in the shadow: however often a message is asked about, its rate refuses nothing', () => {
  const policy = read(`
  sensor:
    allow: [{ id: slow, actions: [publish], topics: [a], rate: { messages: 1, per: 1h } }]`)
  const tally = tallyOf(policy, policy)
  for (let at = 0; at < 1000; at++) tally.decision(decided(publish('a')), { from: undefined, isLive: false })
  const { decisions } = tally.impact(about)
  assert.deepEqual([decisions.judged, decisions.lose, decisions.otherwise], [1000, 0, 0])
})

test('things alike are one change, which names the topic by variables, both rules and where they stand', () => {
  const inForce = read(`
  sensor:
    allow:
      - { id: tele, actions: [publish], topics: ["site/\${device.labels.site}/\${device.id}/t"] }`)
  const candidate = read(`
  sensor:
    allow:
      - { id: tele, actions: [publish], topics: ["site/\${device.labels.site}/\${device.id}/telemetry"] }`)
  const tally = tallyOf(inForce, candidate)
  for (const id of ['d1', 'd2', 'd2']) {
    tally.decision(decided(publish(`site/oslo/${id}/t`), id), { from: undefined, isLive: false })
    tally.decision(decided(publish(`site/oslo/${id}/telemetry`), id, 'deny'), { from: undefined, isLive: false })
  }
  const { changes, devices, decisions } = tally.impact(about)
  assert.deepEqual(devices, { gain: 2, lose: 2 })
  assert.deepEqual([decisions.gain, decisions.lose], [3, 3])
  assert.deepEqual(changes[0], {
    ...{ effect: 'lose', of: 'decision', action: 'publish', partly: false, roles: ['sensor'], count: 3, devices: 2 },
    topic: 'site/${device.labels.site}/${device.id}/t',
    example: { device: 'd1', topic: 'site/oslo/d1/t' },
    now: { effect: 'allow', rule: 'sensor/tele', at: 'p.yaml:7:9', nearest: false },
    then: { effect: 'deny', reason: 'no_rule', rule: 'sensor/tele', at: 'p.yaml:7:9', nearest: true },
  })
  assert.deepEqual([changes.length, changes[1]?.effect, changes[1]?.then.effect], [2, 'gain', 'allow'])
})

test('live sessions lose subscriptions whole and in part, their wills, and their place', () => {
  const inForce = read(`
  sensor:
    sessions: { max: 2 }
    allow:
      - { id: hear, actions: [subscribe, receive], topics: ["cmd/#", "news/#"] }
      - { id: last, actions: [will], topics: ["state/\${device.id}"] }`)
  const candidate = read(`
  sensor:
    allow:
      - { id: hear, actions: [subscribe, receive], topics: ["cmd/#"], qos: { max: 0 } }
    deny:
      - { id: secret, actions: [receive], topics: ["cmd/secret/#"] }`)
  const tally = tallyOf(inForce, candidate)
  const will = { topic: parseTopicName('state/d1'), qos: 0, retain: false, size: 3 } as const
  const first = live('d1', 0, ['cmd/#', 'news/x'], will)
  const second = live('d1~two', 1, ['cmd/x'])
  for (const session of [first, second]) {
    tally.session(session)
    for (const subscription of session.subscriptions) tally.subscription(session, subscription)
  }
  const { sessions, subscriptions, wills, changes, devices } = tally.impact(about)
  assert.deepEqual(sessions, { live: 2, end: 1, gain: 0, lose: 2 })
  assert.deepEqual(subscriptions, { live: 3, gain: 0, lose: 3 })
  assert.deepEqual(wills, { live: 1, gain: 0, lose: 1 })
  assert.deepEqual(devices, { gain: 0, lose: 1 })
  const told = changes.map(({ of, partly, topic, then }) => `${of}${partly ? ' partly' : ''} ${topic} ${then.reason}`)
  assert.deepEqual(told.sort(), [
    'session d1~two quota',
    'subscription news/x not_contained',
    'subscription partly cmd/# denied',
    'subscription partly cmd/# qos',
    'subscription partly cmd/x qos',
    'will state/${device.id} no_rule',
  ])
})

test('devices that are not known, and refusals that no policy decides, are counted and not judged', () => {
  const policy = read(`
  sensor:
    allow: [{ id: a, actions: [publish], topics: [a] }]`)
  const tally = new ImpactTally(
    new Shadow({ inForce: policy, candidate: policy, attributesOf: () => undefined, at: 0 }),
  )
  const lines = [
    { event: 'message.publish', decision: 'allow', topic: 'a' },
    { event: 'message.publish', decision: 'deny', reason: 'rate', topic: 'a', count: 7 },
    { event: 'message.deliver', decision: 'deny', reason: 'revoked', topic: 'a' },
    { event: 'message.deliver', decision: 'allow', topic: '$touchmark/services/a/b' },
    { event: 'message.subscribe', decision: 'allow', topic: '$touchmark/#', qos: 0 },
    { event: 'message.publish', decision: 'deny', reason: 'no_rule', topic: '', count: 5 },
    { event: 'session.refuse', reason: 'will', comment: 'a/b: no_rule' },
    { event: 'session.refuse', reason: 'will', comment: 'a/b: retain' },
  ]
  for (const line of lines) {
    const observed = readObserved({ ...line, device: 'd1', session: 's', time: 't', rules: [], size: 1 })
    assert.ok(observed?.kind === 'decision', line.event)
    tally.decision(observed.decided, { from: undefined, isLive: false })
  }
  const { decisions } = tally.impact(about)
  const { judged, unknownDevices, notByPolicy, withoutTopic, read: looked } = decisions
  assert.deepEqual(
    { judged, unknownDevices, notByPolicy, withoutTopic, looked },
    {
      ...{ judged: 0, unknownDevices: 2, notByPolicy: 11, withoutTopic: 5, looked: 8 },
    },
  )
})

test('a record that says nothing of a decision, or says it in no readable way, is passed over', () => {
  for (const record of [
    undefined,
    null,
    'x',
    [],
    {},
    { event: 'server.start', time: 't' },
    { event: 'message.publish', decision: 'allow', device: 'a/b', topic: 'a' },
    { event: 'message.publish', decision: 'allow', device: 'd1', topic: 'a/#' },
    { event: 'message.subscribe', decision: 'allow', device: 'd1', topic: 'a/#/b' },
    { event: 'session.connect', device: 'd1', session: 7, peer: '192.0.2.1:1' },
  ]) {
    assert.equal(readObserved(record), undefined, JSON.stringify(record))
  }
})

test('a change that depends on where a client is says how often that was not known', () => {
  const conditional = (cidr: string) =>
    parsePolicy(
      `${head}
roles: { sensor: { allow: [{ id: a, actions: [publish], topics: [a] }] } }
bindings: [{ role: sensor, match: { tier: tpm }, when: { cidr: "${cidr}" } }]`,
      'p.yaml',
    )
  const tally = tallyOf(conditional('10.0.0.0/8'), conditional('192.0.2.0/24'))
  for (const from of ['10.1.1.1', '192.0.2.7', undefined]) {
    tally.decision(decided(publish('a')), { from, isLive: false })
  }
  const { decisions } = tally.impact(about)
  assert.deepEqual([decisions.lose, decisions.gain, decisions.withoutAddress], [1, 1, 1])
})

test('a thousand kinds of changes are told apart, and the totals go on', () => {
  const nothing = read(`
  sensor:
    allow: [{ id: a, actions: [publish], topics: [z] }]`)
  const everything = read(`
  sensor:
    allow: [{ id: a, actions: [publish], topics: ["#"] }]`)
  const tally = tallyOf(everything, nothing)
  for (let at = 0; at < 1500; at++) tally.decision(decided(publish(`t/${at}`)), { from: undefined, isLive: false })
  const { decisions, changes, changesInAll } = tally.impact(about)
  assert.deepEqual([decisions.lose, changes.length, changesInAll], [1500, 100, 1500])
})

test('a sample is full after so many decisions, or so much text', () => {
  const one = { kind: 'decision', time: 't', decided: decided(publish('a')) } as const
  const few = new DecisionSample(3)
  for (let at = 0; at < 3; at++) few.add(one)
  assert.ok(few.isFull)
  const long = { ...one, decided: decided(publish('x'.repeat(1024))) }
  const much = new DecisionSample(Infinity)
  while (!much.isFull) much.add(long)
  assert.ok(much.decisions.length < 40_000)
})

const head = `apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: p, version: 1 }`
const hash = parseFingerprint('ab'.repeat(32))
const about = { inForce: { version: 1, hash }, candidate: { version: 2, hash }, asked: 100 }
const d1 = device('d1')

function device(id: string, labels: Labels = { site: 'oslo' }): DeviceAttributes {
  return { id: parseDeviceId(id), tier: 'tpm', labels }
}

function read(roles: string) {
  return parsePolicy(`${head}\nroles:${roles}\nbindings: [{ role: sensor, match: { tier: tpm } }]`, 'p.yaml')
}

function randomPolicy(random: Random) {
  const bindings = [{ role: 'r', match: { tier: 'tpm' } }]
  const metadata = { name: 'random', version: 1 }
  const content = {
    apiVersion: 'touchmark/v1',
    kind: 'TopicPolicy',
    metadata,
    roles: { r: randomRole(random) },
    bindings,
  }
  return parsePolicy(JSON.stringify(content), 'random.json')
}

function tallyOf(inForce: ReturnType<typeof parsePolicy>, candidate: ReturnType<typeof parsePolicy>): ImpactTally {
  const attributesOf = (id: DeviceId) => device(id)
  return new ImpactTally(new Shadow({ inForce, candidate, attributesOf, at: 0 }))
}

function publish(topic: string): Question {
  return { action: 'publish', topic: parseTopicName(topic), qos: 0, retain: false, size: 1 }
}

function decided(question: Question, id = 'd1', effect: 'allow' | 'deny' = 'allow') {
  return { device: parseDeviceId(id), session: 's1', question, effect, rules: [], count: 1 }
}

function live(clientId: string, place: number, filters: readonly string[], will?: LiveSession['will']): LiveSession {
  return {
    ...{ session: clientId, device: parseDeviceId('d1'), clientId, from: '192.0.2.1', place, will },
    subscriptions: filters.map((name) => ({ name: parseTopicFilter(name), qos: 1 as const })),
  }
}

/** By rights of its own each time, so that its rates have been paid by nobody. */
function enforce(policy: ReturnType<typeof parsePolicy>, question: Question): 'allow' | 'deny' {
  const rights = renderPolicy(policy, d1)
  switch (question.action) {
    case 'publish':
      return rights.publish(question).effect
    case 'will':
      return rights.will(question).effect
    case 'subscribe':
      return rights.subscribe(question.filter, question.qos).effect
    case 'receive':
      return rights.receive(question.topic).effect
  }
}
