import assert from 'node:assert/strict'
import test from 'node:test'
import { type Labels, parseDeviceId, parseTopicFilter } from '#protocol'
import { diffPolicies, parsePolicy, PolicyError, renderPolicy, runPolicyTests } from '#policy'

function parse(discover: string, more = '', binding = '') {
  return parsePolicy(
    `{ apiVersion: touchmark/v1, kind: TopicPolicy, metadata: { name: p, version: 7 },
      roles: { r: { discover: [${discover}]${more} } },
      bindings: [{ role: r, match: { tier: [tpm] }${binding} }] }`,
    'p.yaml',
  )
}

const gateway = { id: parseDeviceId('g1'), tier: 'tpm', labels: { site: 'oslo' } } as const
const modbus = (labels: Labels) => ({ labels, service: 'modbus', protocol: 'tcp' })
const ofSite = '{ id: s, labels: { site: "${device.labels.site}" }, services: ["mod*", opcua], protocols: tcp }'

test('a device sees what a rule lets it see, by labels, name and protocol together, and nothing without one', () => {
  const rights = renderPolicy(parse(ofSite), gateway)
  assert.deepEqual(rights.discover(modbus({ site: 'oslo' })), { effect: 'allow', rules: ['r/s'], policyVersion: 7 })
  for (const offer of [
    modbus({ site: 'bergen' }),
    modbus({}),
    { ...modbus({ site: 'oslo' }), service: 'xmodbus' },
    { ...modbus({ site: 'oslo' }), service: 'opcua2' },
    { ...modbus({ site: 'oslo' }), protocol: 'udp' },
  ]) {
    const decision = rights.discover(offer)
    assert.equal(decision.effect === 'deny' && decision.reason, 'no_rule', JSON.stringify(offer))
  }
  const other = renderPolicy(parse(ofSite), { ...gateway, tier: 'token' }).discover(modbus({ site: 'oslo' }))
  assert.equal(other.effect === 'deny' && other.reason, 'no_rights')
})

test('a label that the device lacks takes the whole role, and never stands for any value', () => {
  const allow = ', allow: [{ id: a, actions: [publish], topics: [a] }]'
  const rights = renderPolicy(parse(ofSite, allow), { ...gateway, labels: {} })
  assert.equal(rights.discover(modbus({})).effect, 'deny')
  assert.equal(rights.discovers, false)
  assert.deepEqual(rights.renderErrors.length, 1)
  assert.equal(rights.judge({ action: 'publish', topic: 'a' as never, qos: 0, retain: false, size: 0 }).effect, 'deny')
})

test('names that every object inherits are no labels', () => {
  const rights = renderPolicy(parse('{ id: s, labels: { constructor: x } }'), gateway)
  assert.equal(rights.discover(modbus({})).effect, 'deny')
})

test('a condition that does not hold withholds it, and says so; quarantine does', () => {
  const policy = parse(ofSite, '', ', when: { cidr: [10.0.0.0/8] }')
  const asked = modbus({ site: 'oslo' })
  assert.equal(renderPolicy(policy, gateway, { from: '10.1.2.3' }).discover(asked).effect, 'allow')
  const outside = renderPolicy(policy, gateway, { from: '192.0.2.1' }).discover(asked)
  assert.deepEqual(outside, { effect: 'deny', reason: 'condition', rules: ['r/s'], policyVersion: 7 })
  const quarantined = renderPolicy(parse(ofSite), { ...gateway, quarantined: true }).discover(asked)
  assert.equal(quarantined.effect === 'deny' && quarantined.reason, 'quarantined')
})

test('a rule that says nothing, or what could never be meant, is refused with its place', () => {
  for (const wrong of [
    '{ id: s }',
    '{ id: s, labels: {} }',
    '{ id: s, labels: { site: "a*" } }',
    '{ id: s, labels: { site: "x${device.id}" } }',
    '{ id: s, services: [] }',
    '{ id: s, services: "" }',
    '{ id: s, services: "a*b" }',
    '{ id: s, services: "**" }',
    '{ id: s, services: "a/b" }',
    '{ id: s, protocol: tcp }',
    `${ofSite}, ${ofSite}`,
  ]) {
    assert.throws(() => parse(wrong), PolicyError, wrong)
  }
  assert.throws(
    () => parse(ofSite, ', allow: [{ id: s, actions: [publish], topics: [a] }]'),
    (error: PolicyError) => error.code === 'POLICY_DUPLICATE',
  )
})

test('its own tests can ask, and a comparison says what changes', () => {
  const as = '{ id: g1, tier: tpm, labels: { site: oslo } }'
  const tests = `, tests: [
    { as: ${as}, discover: { labels: { site: oslo }, service: modbus, protocol: tcp }, expect: allow, by: s },
    { as: ${as}, discover: { service: modbus, protocol: tcp }, expect: allow } ]`
  const source = `{ apiVersion: touchmark/v1, kind: TopicPolicy, metadata: { name: p, version: 7 },
    roles: { r: { discover: [${ofSite}] } }, bindings: [{ role: r, match: { tier: [tpm] } }]${tests} }`
  const { cases } = runPolicyTests(parsePolicy(source, 'p.yaml'))
  assert.deepEqual(
    cases.map(({ problem }) => problem),
    [undefined, 'expected allow, got deny (no_rule)'],
  )
  const changes = (from: string, to: string) =>
    diffPolicies(parse(from), parse(to)).map(({ rule, what, brings }) => [rule, what, brings])
  const wide = '{ id: s, services: "*" }'
  assert.deepEqual(changes(ofSite, wide), [
    ['r/s', 'labels', 'more'],
    ['r/s', 'services', 'more'],
    ['r/s', 'protocols', 'more'],
  ])
  assert.deepEqual(changes('{ id: s, services: ["*"] }', '{ id: s, services: ["*", "a*"] }'), [])
  assert.deepEqual(changes('{ id: s, services: a }', '{ id: s, services: b }'), [['r/s', 'services', 'other']])
})

test('explain names every rule that was looked at, and decides as it is decided', () => {
  const rights = renderPolicy(parse(`${ofSite}, { id: t, services: "*", protocols: udp }`), gateway)
  const offer = modbus({ site: 'oslo' })
  const { decision, considered } = rights.explain({ action: 'discover', offer })
  assert.deepEqual(decision, rights.discover(offer))
  assert.deepEqual(
    considered.map(({ rule, failed }) => [rule, failed]),
    [
      ['r/s', undefined],
      ['r/t', 'service'],
    ],
  )
})

test('who may see any service may subscribe to what is told of services, and nobody else; no rule on topics grants or widens it', () => {
  const asked = (rights: ReturnType<typeof renderPolicy>, filter: string) => {
    const decision = rights.subscribe(parseTopicFilter(filter), 2)
    return decision.effect === 'allow' ? [...decision.rules, decision.qos] : decision.reason
  }
  const all = ', allow: [{ id: all, actions: [subscribe, receive], topics: ["#"] }]'
  const rights = renderPolicy(parse(ofSite, all), gateway)
  const onlyTopics = parsePolicy(
    `{ apiVersion: touchmark/v1, kind: TopicPolicy, metadata: { name: p, version: 7 },
      roles: { r: { sessions: { max: 1 }${all} } }, bindings: [{ role: r, match: { tier: [tpm] } }] }`,
    'p.yaml',
  )
  for (const filter of ['$touchmark/#', '$touchmark/services/#', '$touchmark/services/+/opcua', '$touchmark/+/plc/#']) {
    assert.deepEqual(asked(rights, filter), ['r/s', 0], filter)
    assert.equal(asked(renderPolicy(onlyTopics, gateway), filter), 'reserved')
  }
  assert.equal(asked(rights, '$share/g/$touchmark/#'), 'reserved')
  assert.equal(asked(rights, '$touchmark/other/#'), 'reserved')
  assert.equal(asked(rights, '$touchmark'), 'reserved')
  assert.equal(rights.receive('$touchmark/services/plc/opcua' as never).effect, 'deny')
  assert.equal(asked(renderPolicy(parse(ofSite), { ...gateway, quarantined: true }), '$touchmark/#'), 'quarantined')
  const conditional = parse(ofSite, '', ', when: { cidr: [10.0.0.0/8] }')
  assert.equal(asked(renderPolicy(conditional, gateway, { from: '192.0.2.1' }), '$touchmark/#'), 'condition')
  for (const action of ['publish', 'will', 'subscribe', 'receive']) {
    assert.throws(
      () => parse(ofSite, `, allow: [{ id: a, actions: [${action}], topics: ["$touchmark/services/#"] }]`),
      (error: PolicyError) => error.code === 'POLICY_INVALID_TOPIC' && error.message.includes('"discover" rules'),
    )
  }
})

test('a role that only discovers has rights: what else it tries is refused because nothing allows it', () => {
  const only = renderPolicy(parse(ofSite), gateway)
  const publish = only.judge({ action: 'publish', topic: 'a' as never, qos: 0, retain: false, size: 0 })
  assert.equal(publish.effect === 'deny' && publish.reason, 'no_rule')
  const subscribe = only.subscribe(parseTopicFilter('a/#'), 0)
  assert.equal(subscribe.effect === 'deny' && subscribe.reason, 'not_contained')
  assert.equal(only.maxSessions, 1)
  const { decision, considered } = only.explain({
    ...{ action: 'subscribe', qos: 0, filter: parseTopicFilter('$touchmark/#') },
  })
  assert.equal(decision.effect, 'allow')
  assert.deepEqual(
    considered.map(({ rule, failed }) => [rule, failed]),
    [['r/s', undefined]],
  )
})
