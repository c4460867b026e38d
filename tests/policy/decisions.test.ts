import assert from 'node:assert/strict'
import test from 'node:test'
import { type DeviceId, parseDeviceId, parseTopicFilter, parseTopicName, type Tier } from '#protocol'
import type { EffectivePolicy } from '../../policy/deciding/effective.js'
import { parsePolicy } from '../../policy/reading/parse.js'
import type { Message, Qos } from '../../policy/policy.js'
import { RateLimiter } from '../../policy/deciding/rate-limiter.js'
import { renderPolicy } from '../../policy/deciding/render.js'
import { seeded } from '../seeded.js'
import { randomQuestion, randomRole } from './random-policy.js'

/** Rights of device d1 under one role `r` with these rules. */
function rightsOf(allow: readonly string[], deny: readonly string[] = []): EffectivePolicy {
  return renderPolicy(parse({ allow, deny }), { id: parseDeviceId('d1'), tier: 'tpm', labels: { site: 'oslo' } })
}

function parse({ allow, deny = [] }: { readonly allow: readonly string[]; readonly deny?: readonly string[] }) {
  const denied = deny.length > 0 ? `, deny: [${deny.join(', ')}]` : ''
  return parsePolicy(
    `{ apiVersion: touchmark/v1, kind: TopicPolicy, metadata: { name: p, version: 7 },
      roles: { r: { allow: [${allow.join(', ')}]${denied} } },
      bindings: [{ role: r, match: { tier: [tpm] } }] }`,
    'p.yaml',
  )
}

const rule = (id: string, actions: string, topics: readonly string[], more = ''): string =>
  `{ id: ${id}, actions: [${actions}], topics: ${JSON.stringify(topics)}${more} }`

function publish(rights: EffectivePolicy, topic: string, message: Partial<Omit<Message, 'topic'>> = {}) {
  return rights.publish({ topic: parseTopicName(topic), qos: 0, retain: false, size: 0, ...message })
}

const subscribe = (rights: EffectivePolicy, filter: string, qos: Qos = 0) =>
  rights.subscribe(parseTopicFilter(filter), qos)
const receive = (rights: EffectivePolicy, topic: string) => rights.receive(parseTopicName(topic))

test('a device without a role has no rights', () => {
  const rights = renderPolicy(parse({ allow: [rule('a', 'publish', ['#'])] }), {
    id: parseDeviceId('d1'),
    tier: 'token',
    labels: {},
  })
  const denied = { effect: 'deny', reason: 'no_rights', rules: [], policyVersion: 7 }
  assert.deepEqual(publish(rights, 'a'), denied)
  assert.deepEqual(subscribe(rights, 'a'), denied)
  assert.deepEqual(receive(rights, 'a'), denied)
})

test('any matching deny refuses, whatever allows it and in whatever order', () => {
  const rights = rightsOf([rule('z', 'publish', ['a/#'])], [rule('no', 'publish', ['a/+/firmware/#'])])
  assert.deepEqual(publish(rights, 'a/1/firmware'), {
    effect: 'deny',
    reason: 'denied',
    rules: ['r/no'],
    policyVersion: 7,
  })
  assert.deepEqual(publish(rights, 'a/1/state'), { effect: 'allow', rules: ['r/z'], policyVersion: 7 })
})

test('foreign, unnormalised and look-alike topics are other topics', () => {
  const rights = rightsOf([rule('a', 'publish', ['f/${device.id}/telemetry'])])
  assert.equal(publish(rights, 'f/d1/telemetry').effect, 'allow')
  for (const topic of [
    'f/d2/telemetry',
    'f/d1/../d2',
    'f/d1//telemetry',
    '/f/d1/telemetry',
    'f/d1/telemetry/',
    'F/d1/telemetry',
    'f／d1／telemetry',
    'f/d1/te\u0301lemetry',
    '__proto__',
    'constructor',
  ]) {
    const decision = publish(rights, topic)
    assert.ok(decision.effect === 'deny' && decision.reason === 'no_rule', topic)
  }
})

test('each constraint refuses by its own name, and an other rule may still allow', () => {
  const limited = rule('a', 'publish', ['t/#'], ', qos: { max: 0 }, payload: { maxBytes: 10 }')
  const rights = rightsOf([limited, rule('b', 'publish', ['t/x'], ', retain: true')])
  const reasonOf = (topic: string, message: Partial<Message>) => {
    const decision = publish(rights, topic, message)
    return decision.effect === 'deny' ? decision.reason : `allow ${decision.rules.join()}`
  }
  assert.equal(reasonOf('t/1', {}), 'allow r/a')
  assert.equal(reasonOf('t/1', { qos: 1 }), 'qos')
  assert.equal(reasonOf('t/1', { retain: true }), 'retain')
  assert.equal(reasonOf('t/1', { size: 11 }), 'size')
  assert.equal(reasonOf('t/1', { size: 10 }), 'allow r/a')
  assert.equal(reasonOf('t/x', { size: 11, qos: 2, retain: true }), 'allow r/b')
})

test('a will is an action of its own', () => {
  const rights = rightsOf([rule('a', 'publish', ['t']), rule('w', 'will', ['w'])])
  const message = { qos: 0, retain: false, size: 0 } as const
  assert.equal(rights.will({ ...message, topic: parseTopicName('t') }).effect, 'deny')
  assert.equal(rights.will({ ...message, topic: parseTopicName('w') }).effect, 'allow')
  const retained = rights.will({ ...message, retain: true, topic: parseTopicName('w') })
  assert.ok(retained.effect === 'deny' && retained.reason === 'retain')
  const reserved = rights.will({ ...message, topic: parseTopicName('$SYS/x') })
  assert.ok(reserved.effect === 'deny' && reserved.reason === 'reserved')
})

test('a subscription is granted only where the union covers it', () => {
  const rights = rightsOf([rule('a', 'subscribe, receive', ['a', 'a/+']), rule('b', 'subscribe, receive', ['a/+/#'])])
  assert.deepEqual(subscribe(rights, 'a/#'), { effect: 'allow', qos: 0, rules: ['r/a', 'r/b'], policyVersion: 7 })
  assert.deepEqual(subscribe(rights, 'a/+'), { effect: 'allow', qos: 0, rules: ['r/a'], policyVersion: 7 })
  assert.deepEqual(subscribe(rights, '#'), { effect: 'deny', reason: 'not_contained', rules: [], policyVersion: 7 })
})

test('the granted QoS is the largest at which the filter is covered', () => {
  const rights = rightsOf([
    rule('all', 'subscribe, receive', ['a/#'], ', qos: { max: 0 }'),
    rule('some', 'subscribe, receive', ['a/b/#'], ', qos: { max: 1 }'),
  ])
  const qosOf = (filter: string, qos: Qos) => {
    const decision = subscribe(rights, filter, qos)
    return decision.effect === 'allow' ? decision.qos : decision.reason
  }
  assert.equal(qosOf('a/b/c', 2), 1)
  assert.equal(qosOf('a/b/c', 0), 0)
  assert.equal(qosOf('a/+/c', 2), 0)
  const delivery = receive(rights, 'a/b/c')
  assert.ok(delivery.effect === 'allow' && delivery.qos === 1)
})

test('what one rule grants alone is granted as if every rule had been looked at', () => {
  const random = seeded(94)
  const deepInside = rule('deep', 'receive', ['+/+/+/+/+/x']) // of no filter asked for, but it has each looked at closely
  let granted = 0
  for (let round = 0; round < 300; round++) {
    const { allow, deny = [] } = randomRole(random)
    const [allows, denies] = [allow.map((one) => JSON.stringify(one)), deny.map((one) => JSON.stringify(one))]
    const [quick, close] = [rightsOf(allows, denies), rightsOf(allows, [...denies, deepInside])]
    for (let at = 0; at < 20; at++) {
      const question = randomQuestion(random)
      if (question.action !== 'subscribe') continue
      const { filter, qos } = question
      const [decision, expected] = [quick.subscribe(filter, qos), close.subscribe(filter, qos)]
      assert.equal(decision.effect, expected.effect, filter)
      if (decision.effect === 'deny') continue
      assert.deepEqual(decision, expected, filter)
      granted++
    }
  }
  assert.ok(granted > 200, `only ${granted} filters were granted: the generator tests nothing`)
})

test('a subscription that reaches into a deny is granted and filtered, or refused, as the policy says', () => {
  const policy = (onOverlap: string) =>
    renderPolicy(
      {
        ...parse({ allow: [rule('a', 'subscribe, receive', ['a/#'])], deny: [rule('no', 'subscribe', ['a/secret'])] }),
        onOverlap: onOverlap === 'reject' ? 'reject' : 'filter',
      },
      { id: parseDeviceId('d1'), tier: 'tpm', labels: {} },
    )
  assert.equal(subscribe(policy('filter'), 'a/#').effect, 'allow')
  // A deny of subscribe is a deny of receive: live, queued and retained messages ask here.
  assert.deepEqual(receive(policy('filter'), 'a/secret'), {
    effect: 'deny',
    reason: 'denied',
    rules: ['r/no'],
    policyVersion: 7,
  })
  assert.equal(receive(policy('filter'), 'a/open').effect, 'allow')
  const exact = subscribe(policy('filter'), 'a/secret')
  assert.ok(exact.effect === 'deny' && exact.reason === 'denied')
  const rejected = subscribe(policy('reject'), 'a/#')
  assert.ok(rejected.effect === 'deny' && rejected.reason === 'overlaps_deny')
  assert.equal(subscribe(policy('reject'), 'a/open').effect, 'allow')
})

test('wildcards never reach a $ tree', () => {
  const rights = rightsOf([
    rule('a', 'publish, subscribe, receive', ['#']),
    rule('own', 'subscribe, receive', ['$own/x']),
  ])
  for (const filter of ['$SYS/#', '$share/g/x', '$share/g/#', '$ctl']) {
    const decision = subscribe(rights, filter)
    assert.ok(decision.effect === 'deny' && decision.reason === 'reserved', filter)
  }
  const wider = subscribe(rights, '$own/#')
  assert.ok(wider.effect === 'deny' && wider.reason === 'not_contained')
  assert.equal(subscribe(rights, '$own/x').effect, 'allow')
  assert.equal(subscribe(rights, '#').effect, 'allow')
  for (const topic of ['$SYS/evil/new/clients', '$SYS/x/heartbeat', '$x']) {
    assert.equal(publish(rights, topic).effect, 'deny', topic)
    assert.equal(receive(rights, topic).effect, 'deny', topic)
  }
})

const shareReason = (rights: EffectivePolicy, filter: string) => {
  const decision = subscribe(rights, filter)
  return decision.effect === 'deny' ? decision.reason : 'allow'
}

test('a shared subscription needs a grant of its group, and then its filter is contained like any other', () => {
  const rights = rightsOf([rule('work', 'subscribe, receive', ['$share/g/a/+/#'], ', qos: { max: 1 }')])
  assert.deepEqual(subscribe(rights, '$share/g/a/b/#', 2), {
    effect: 'allow',
    rules: ['r/work'],
    policyVersion: 7,
    qos: 1,
  })
  assert.equal(shareReason(rights, '$share/g/a/#'), 'not_contained')
  assert.equal(shareReason(rights, '$share/h/a/b'), 'reserved')
  assert.equal(shareReason(rights, '$share/d1/a/b'), 'reserved')
  assert.equal(shareReason(rights, 'a/b'), 'not_contained')
  for (const topic of ['a/b', 'a/b/c']) assert.equal(receive(rights, topic).effect, 'allow')
  assert.equal(receive(rights, 'b').effect, 'deny')
  assert.equal(receive(rights, '$share/g/a/b').effect, 'deny')
})

test('a group is named by a word or by an attribute of the device, and no wildcard reaches one or a $ tree behind it', () => {
  const own = rightsOf([rule('own', 'subscribe, receive', ['$share/${device.labels.site}/a'])])
  assert.equal(shareReason(own, '$share/oslo/a'), 'allow')
  assert.equal(shareReason(own, '$share/bergen/a'), 'reserved')
  const all = rightsOf([rule('all', 'subscribe, receive', ['#', '$share/g/#'])])
  assert.equal(shareReason(all, '$share/g/#'), 'allow')
  assert.equal(shareReason(all, '$share/h/x'), 'reserved')
  assert.equal(shareReason(all, '$share/g/$SYS/#'), 'reserved')
  for (const filter of ['$share', '$share/g', '$share/g/', '$share//t', '$share/+/t', '$share/g/$share/h/t']) {
    assert.equal(shareReason(all, filter), 'invalid_share', filter)
  }
})

test('who is denied a topic is denied to share it; who is denied to share in a group may still hear', () => {
  const allow = [rule('all', 'subscribe, receive', ['a/#', '$share/g/a/#', '$share/h/a/#'])]
  const secret = rightsOf(allow, [rule('no', 'subscribe', ['a/secret/#'])])
  assert.equal(shareReason(secret, '$share/g/a/secret/x'), 'denied')
  assert.equal(shareReason(secret, '$share/g/a/#'), 'allow')
  assert.equal(receive(secret, 'a/secret/x').effect, 'deny')
  const group = rightsOf(allow, [rule('no', 'subscribe', ['$share/g/a/#'])])
  assert.equal(shareReason(group, '$share/g/a/x'), 'denied')
  assert.equal(shareReason(group, '$share/h/a/x'), 'allow')
  assert.equal(shareReason(group, 'a/x'), 'allow')
  assert.equal(receive(group, 'a/x').effect, 'allow')
})

test('the statistics of the service can be granted to listeners, by name, and to nobody who would speak there', () => {
  const rights = rightsOf([
    rule('a', 'publish, subscribe, receive', ['#']),
    rule('sys', 'subscribe, receive', ['$SYS/broker/#']),
  ])
  assert.equal(subscribe(rights, '$SYS/broker/uptime').effect, 'allow')
  assert.equal(receive(rights, '$SYS/broker/uptime').effect, 'allow')
  assert.equal(subscribe(rights, '$SYS/#').effect, 'deny')
  assert.equal(receive(rights, '$SYS/other').effect, 'deny')
  const spoken = publish(rights, '$SYS/broker/uptime')
  assert.ok(spoken.effect === 'deny' && spoken.reason === 'reserved')
})

test('an attribute that does not fit into one level opens nothing', () => {
  const policy = parse({ allow: [rule('a', 'publish', ['f/${device.labels.site}/t'])] })
  for (const site of ['+', '#', 'a/b', '$SYS', '*', '.*', '${device.id}', '\0', '', 'x'.repeat(65_536)]) {
    const rights = renderPolicy(policy, { id: parseDeviceId('d1'), tier: 'tpm', labels: { site } })
    assert.equal(rights.renderErrors.length, 1, site.slice(0, 20))
    assert.equal(publish(rights, 'f/a/t').effect, 'deny')
  }
  for (const id of ['+', '#', 'a/b', '$SYS', '${device.labels.site}', 'a\0', 'x'.repeat(65)]) {
    const rights = renderPolicy(policy, { id: id as DeviceId, tier: 'tpm', labels: { site: 'oslo' } })
    assert.equal(rights.renderErrors.length, 1)
    assert.equal(publish(rights, 'f/oslo/t').effect, 'deny')
  }
})

test('a label is never found on the prototype of the labels', () => {
  const policy = parse({ allow: [rule('a', 'publish', ['${device.labels.constructor}'])] })
  assert.equal(renderPolicy(policy, { id: parseDeviceId('d1'), tier: 'tpm', labels: {} }).renderErrors.length, 1)
})

test('an allow that cannot be rendered takes its role along, and leaves other roles and all denies', () => {
  const policy = parsePolicy(
    `apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: p, version: 1 }
roles:
  broken:
    sessions: { max: 9 }
    allow:
      - { id: a, actions: [publish], topics: ["x/\${device.labels.site}"] }
      - { id: b, actions: [publish], topics: [y] }
    deny: [{ id: c, actions: [publish], topics: [z/secret] }]
  whole: { allow: [{ id: a, actions: [publish], topics: [z/#] }] }
bindings: [{ role: broken, match: { tier: tpm } }, { role: whole, match: { tier: tpm } }]`,
    'p.yaml',
  )
  const rights = renderPolicy(policy, { id: parseDeviceId('d1'), tier: 'tpm', labels: {} })
  assert.deepEqual(rights.renderErrors, ['p.yaml:8:9: broken/a: device.labels.site is missing'])
  assert.equal(publish(rights, 'y').effect, 'deny')
  assert.equal(publish(rights, 'z/1').effect, 'allow')
  assert.equal(publish(rights, 'z/secret').effect, 'deny')
  assert.equal(rights.maxSessions, 1)
})

test('devices that are bound alike share what they have, and one that lacks a label takes nothing from the others', () => {
  const policy = parse({
    allow: [rule('own', 'publish', ['f/${device.labels.site}/#'])],
    deny: [rule('no', 'publish', ['f/${device.labels.site}/x'])],
  })
  const may = (labels: Record<string, string>, topic: string) =>
    publish(renderPolicy(policy, { id: parseDeviceId('d1'), tier: 'tpm', labels }), topic).effect
  for (let round = 0; round < 2; round++) {
    assert.deepEqual([may({}, 'f/oslo/a'), may({ site: 'a/b' }, 'f/a/b')], ['deny', 'deny'])
    assert.deepEqual([may({ site: 'oslo' }, 'f/oslo/a'), may({ site: 'oslo' }, 'f/oslo/x')], ['allow', 'deny'])
    assert.deepEqual([may({ site: 'rome' }, 'f/rome/a'), may({ site: 'rome' }, 'f/oslo/a')], ['allow', 'deny'])
  }
})

test('a deny that cannot be rendered takes all rights', () => {
  const policy = parse({
    allow: [rule('a', 'publish', ['#'])],
    deny: [rule('no', 'publish', ['x/${device.labels.site}'])],
  })
  const rights = renderPolicy(policy, { id: parseDeviceId('d1'), tier: 'tpm', labels: {} })
  assert.equal(rights.renderErrors.length, 1)
  const decision = publish(rights, 'y')
  assert.ok(decision.effect === 'deny' && decision.reason === 'no_rights')
})

test('a device with too many roles has no rights', () => {
  const names = Array.from({ length: 17 }, (_, at) => `r${at}`)
  const policy = parsePolicy(
    `{ apiVersion: touchmark/v1, kind: TopicPolicy, metadata: { name: p, version: 1 },
      roles: { ${names.map((name) => `${name}: { allow: [${rule('a', 'publish', ['t'])}] }`).join(', ')} },
      bindings: [${names.map((name) => `{ role: ${name}, match: { tier: tpm, labels: { a: x } } }`).join(', ')}] }`,
    'p.yaml',
  )
  const rights = renderPolicy(policy, { id: parseDeviceId('d1'), tier: 'tpm', labels: { a: 'x' } })
  assert.equal(publish(rights, 't').effect, 'deny')
  assert.equal(rights.renderErrors.length, 1)
})

test('a binding asks for all its conditions', () => {
  const policy = parsePolicy(
    `{ apiVersion: touchmark/v1, kind: TopicPolicy, metadata: { name: p, version: 1 },
      roles: { r: { allow: [${rule('a', 'publish', ['t'])}] } },
      bindings: [{ role: r, match: { tier: tpm, labels: { kind: sensor }, ids: [d1, d2] } }] }`,
    'p.yaml',
  )
  const effect = (id: string, tier: Tier, labels: Record<string, string>) =>
    publish(renderPolicy(policy, { id: parseDeviceId(id), tier, labels }), 't').effect
  assert.equal(effect('d1', 'tpm', { kind: 'sensor', more: 'x' }), 'allow')
  assert.equal(effect('d3', 'tpm', { kind: 'sensor' }), 'deny')
  assert.equal(effect('d1', 'token', { kind: 'sensor' }), 'deny')
  assert.equal(effect('d1', 'tpm', { kind: 'pump' }), 'deny')
  assert.equal(effect('d1', 'tpm', {}), 'deny')
})

test('a bucket is paid by the smallest rule, survives a reconnect, and fills with time', () => {
  let now = 0
  const rates = new RateLimiter({ now: () => now })
  const policy = parse({ allow: [rule('a', 'publish', ['t'], ', rate: { messages: 2, per: 1s, burst: 3 }')] })
  const connect = (id: string) => renderPolicy(policy, { id: parseDeviceId(id), tier: 'tpm', labels: {} }, {}, rates)
  const effects = (id: string, count: number) =>
    Array.from({ length: count }, () => publish(connect(id), 't').effect).join(' ')
  assert.equal(effects('d1', 4), 'allow allow allow deny')
  const refused = publish(connect('d1'), 't')
  assert.deepEqual(refused, { effect: 'deny', reason: 'rate', rules: ['r/a'], policyVersion: 7 })
  assert.equal(effects('d2', 1), 'allow')
  now = 500
  assert.equal(effects('d1', 2), 'allow deny')
  now = 100
  assert.equal(effects('d1', 1), 'deny')
  now = 3_600_000
  assert.equal(effects('d1', 4), 'allow allow allow deny')
})

test('a clock that is set back gives nothing, and an empty bucket fills from there on', () => {
  let now = 86_400_000
  const rates = new RateLimiter({ now: () => now })
  const rate = { messages: 1, perMs: 1000, burst: 2 }
  for (let spent = 0; spent < 2; spent++) rates.spend('d1', rate)
  now = 0
  assert.equal(rates.has('d1', rate), false)
  now = 999
  assert.equal(rates.has('d1', rate), false)
  now = 1000
  assert.equal(rates.has('d1', rate), true)
})

test('when the smallest rule cannot pay, the next one that allows it does', () => {
  const rate = (burst: number) => `, rate: { messages: 1, per: 1h, burst: ${burst} }`
  // Written in the other order on purpose: the ids decide.
  const rights = rightsOf([rule('b', 'publish', ['t/#'], rate(2)), rule('a', 'publish', ['t/x'], rate(1))])
  const paidBy = () => publish(rights, 't/x').rules.join()
  assert.deepEqual([paidBy(), paidBy(), paidBy()], ['r/a', 'r/b', 'r/b'])
  const refused = publish(rights, 't/x')
  assert.ok(refused.effect === 'deny' && refused.reason === 'rate')
})

test('buckets of thousands of devices are forgotten only when they are full again', () => {
  let now = 0
  const rates = new RateLimiter({ now: () => now })
  const rate = { messages: 1, perMs: 1000, burst: 1 }
  rates.spend('empty', { ...rate, perMs: 3_600_000 })
  for (let device = 0; device < 5000; device++) {
    now += 10
    rates.spend(`d${device}`, rate)
  }
  assert.equal(rates.has('empty', { ...rate, perMs: 3_600_000 }), false)
  assert.equal(rates.has('d0', rate), true)
  assert.equal(rates.has('d4999', rate), false)
})

test('explaining and wills spend nothing', () => {
  const rights = rightsOf([rule('a', 'publish, will', ['t'], ', rate: { messages: 1, per: 1h }')])
  const message = { topic: parseTopicName('t'), qos: 0, retain: false, size: 0 } as const
  for (let round = 0; round < 3; round++) {
    assert.equal(rights.explain({ action: 'publish', ...message }).decision.effect, 'allow')
    assert.equal(rights.will(message).effect, 'allow')
  }
  assert.equal(rights.publish(message).effect, 'allow')
  assert.equal(rights.publish(message).effect, 'deny')
})

test('more topics than are remembered change no decision', () => {
  const rights = rightsOf([rule('a', 'receive', ['t/+'])])
  for (let topic = 0; topic < 3000; topic++) {
    assert.equal(receive(rights, `t/${topic}`).effect, 'allow')
    assert.equal(receive(rights, `u/${topic}`).effect, 'deny')
  }
})
