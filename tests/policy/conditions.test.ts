import assert from 'node:assert/strict'
import test from 'node:test'
import { parseDeviceId, parseTopicFilter, parseTopicName } from '#protocol'
import { type Circumstances, parsePolicy, PolicyError, renderPolicy, runPolicyTests } from '#policy'
import { isInside, parseNetwork } from '../../policy/conditions/networks.js'
import { seeded } from '../seeded.js'

const device = { id: parseDeviceId('d1'), tier: 'tpm', labels: {} } as const
const inside = '10.1.2.3'
const [year2026, year2027, year2028] = [2026, 2027, 2028].map((year) => Date.UTC(year, 0, 1)) as [
  number,
  number,
  number,
]

/** `free` is bound to everyone, `bound` under these conditions. */
function policyWith(when: string, rules = 'allow: [{ id: a, actions: [publish, subscribe, receive], topics: [b/#] }]') {
  return parsePolicy(
    `apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: p, version: 1 }
roles:
  free: { allow: [{ id: a, actions: [publish, subscribe, receive], topics: [f/#] }] }
  bound: { sessions: { max: 3 }, ${rules} }
bindings:
  - { role: free, match: { tier: tpm } }
  - { role: bound, match: { tier: tpm }, when: ${when} }
`,
    'p.yaml',
  )
}

function ask(policy: ReturnType<typeof policyWith>, circumstances: Circumstances, topic = 'b/x') {
  const rights = renderPolicy(policy, device, circumstances)
  const decision = rights.publish({ topic: parseTopicName(topic), qos: 0, retain: false, size: 0 })
  return decision.effect === 'allow' ? 'allow' : decision.reason
}

test('an address is in a network or not, whatever way either is written', () => {
  for (const [network, address, expected] of [
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.0.0/8', '::ffff:10.255.0.1', true],
    ['10.0.0.0/8', '::ffff:aff:1', true],
    ['10.0.0.0/8', '::ffff:b00:1', false],
    ['::ffff:10.0.0.0/104', '10.255.0.1', true],
    ['::ffff:10.0.0.0/104', '11.255.0.1', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['0.0.0.0/0', '255.1.2.3', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '2001:db8::1', true],
    ['::/0', '10.1.2.3', false],
    ['::/0', '::ffff:10.1.2.3', false],
    ['2001:db8::/32', '2001:DB8:0:0:ffff::1', true],
    ['2001:db8::/32', '2001:db9::', false],
    ['2001:db8:0:8000::/49', '2001:db8:0:ffff::1', true],
    ['2001:db8:0:8000::/49', '2001:db8:0:7fff::1', false],
    ['64:ff9b::10.0.0.0/104', '64:ff9b::a01:203', true],
    ['::1', '::1', true],
    ['::1', '0:0:0:0:0:0:0:1', true],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['10.0.0.0/8', '10.0.0', undefined],
    ['10.0.0.0/8', '', undefined],
    ['10.0.0.0/8', 'localhost', undefined],
    ['10.0.0.0/8', '010.0.0.1', undefined],
  ] as const) {
    assert.equal(isInside([parseNetwork(network)], address), expected, `${address} in ${network}`)
  }
})

test('networks agree with the bits of random addresses', () => {
  const random = seeded(20_261_123)
  const bytesOf = (count: number) => Array.from({ length: count }, () => (random(3) === 0 ? 0 : random(256)))
  for (let round = 0; round < 2000; round++) {
    const [show, width] = random(2) === 0 ? ([dotted, 32] as const) : ([grouped, 128] as const)
    const length = random(width + 1)
    const first = bytesOf(width / 8)
    const masked = first.map((byte, at) => byte & (0xff00 >> Math.max(0, Math.min(8, length - 8 * at))))
    const other =
      random(2) === 0 ? bytesOf(width / 8) : masked.map((byte, at) => byte | (8 * at >= length ? random(256) : 0))
    const bits = (bytes: readonly number[]) =>
      bytes
        .map((byte) => byte.toString(2).padStart(8, '0'))
        .join('')
        .slice(0, length)
    const network = `${show(masked)}/${length}`
    const mapped = width === 128 && bits(masked).startsWith(`${'0'.repeat(80)}${'1'.repeat(16)}`)
    if (mapped) continue
    assert.equal(
      isInside([parseNetwork(network)], show(other)),
      bits(masked) === bits(other),
      `${show(other)} in ${network}`,
    )
  }
})

test('a network with bits behind its length is refused, and so is what is none', () => {
  for (const text of [
    '10.0.0.1/8',
    '2001:db8::1/32',
    '::ffff:10.0.0.1/104',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '10.0.0/8',
    '/8',
    'fe80::1%eth0',
    'localhost',
    '',
    '10.0.0.0/8 ',
  ]) {
    assert.throws(() => parseNetwork(text), TypeError, text)
  }
})

test('conditions that do not exist, cannot be read or can never hold are compile errors, with their place', () => {
  for (const [when, code, at] of [
    ['{ weekday: monday }', 'POLICY_UNKNOWN_KEY', '9:50'],
    ['{ CIDR: 10.0.0.0/8 }', 'POLICY_UNKNOWN_KEY', '9:50'],
    ['{}', 'POLICY_INVALID_VALUE', '9:48'],
    ['always', 'POLICY_INVALID_VALUE', '9:48'],
    ['{ cidr: [] }', 'POLICY_INVALID_VALUE', '9:56'],
    ['{ cidr: [10.0.0.1/8] }', 'POLICY_INVALID_VALUE', '9:57'],
    ['{ cidr: 10 }', 'POLICY_INVALID_VALUE', '9:56'],
    ['{ notAfter: 2027-01-01 }', 'POLICY_INVALID_VALUE', '9:60'],
    ['{ notAfter: 2027-01-01T00:00:00 }', 'POLICY_INVALID_VALUE', '9:60'],
    ['{ notAfter: 2027-02-29T00:00:00Z }', 'POLICY_INVALID_VALUE', '9:60'],
    ['{ notAfter: 2027-01-01T24:00:00Z }', 'POLICY_INVALID_VALUE', '9:60'],
    ['{ notAfter: tomorrow }', 'POLICY_INVALID_VALUE', '9:60'],
    ['{ notBefore: 1800000000 }', 'POLICY_INVALID_VALUE', '9:61'],
    ['{ notBefore: 2027-01-01T01:00:00+01:00, notAfter: 2027-01-01T00:00:00Z }', 'POLICY_NO_EFFECT', '9:98'],
  ] as const) {
    assert.throws(
      () => policyWith(when),
      (error) => {
        assert.ok(error instanceof PolicyError, String(error))
        assert.deepEqual([error.code, error.at], [code, `p.yaml:${at}`], error.message)
        return true
      },
      when,
    )
  }
})

test('a role is there from its networks, within its time, and not elsewhere', () => {
  const policy = policyWith(
    '{ cidr: [10.0.0.0/8, "2001:db8::/32"], notBefore: 2027-01-01T01:00:00+01:00, notAfter: 2028-01-01T00:00:00Z }',
  )
  for (const from of [inside, '::ffff:10.1.2.3', '2001:db8::7']) {
    assert.equal(ask(policy, { from, at: year2027 }), 'allow', from)
    assert.equal(ask(policy, { from, at: year2028 - 1 }), 'allow', from)
    assert.equal(ask(policy, { from, at: year2027 - 1 }), 'condition', from)
    assert.equal(ask(policy, { from, at: year2028 }), 'condition', from)
  }
  assert.equal(ask(policy, { from: '192.0.2.1', at: year2027 }), 'condition')
  assert.equal(ask(policy, { from: '192.0.2.1', at: year2027 }, 'f/x'), 'allow')
  assert.equal(renderPolicy(policy, device, { from: inside, at: year2027 }).maxSessions, 3)
  assert.equal(renderPolicy(policy, device, { from: inside, at: year2028 }).maxSessions, 1)
})

test('where it is not known whether a condition holds, its role allows nothing and denies all that it denies', () => {
  const rules =
    'allow: [{ id: a, actions: [publish], topics: [b/#] }], deny: [{ id: no, actions: [publish], topics: [f/#] }]'
  const policy = policyWith('{ cidr: 10.0.0.0/8, notAfter: 2028-01-01T00:00:00Z }', rules)
  for (const unknown of [
    {},
    { at: year2027 },
    { from: inside },
    { from: 'nonsense', at: year2027 },
    { from: '', at: NaN },
  ]) {
    assert.equal(ask(policy, unknown), 'condition', JSON.stringify(unknown))
    assert.equal(ask(policy, unknown, 'f/x'), 'denied', JSON.stringify(unknown))
  }
  // One condition that fails is enough to know.
  assert.equal(ask(policy, { at: year2028 }, 'f/x'), 'allow')
  assert.equal(ask(policy, { from: inside, at: year2027 }, 'f/x'), 'denied')
})

test('a deny that cannot be rendered takes all rights also where its condition cannot be judged', () => {
  const rules = 'deny: [{ id: no, actions: [publish], topics: ["x/${device.labels.site}"] }]'
  const policy = policyWith('{ cidr: 10.0.0.0/8 }', rules)
  assert.equal(ask(policy, {}, 'f/x'), 'no_rights')
  assert.equal(ask(policy, { from: inside }, 'f/x'), 'no_rights')
  assert.equal(ask(policy, { from: '192.0.2.1' }, 'f/x'), 'allow')
})

test('rights that a deny has taken last no longer, and reach no further, than the condition under which it is bound', () => {
  const rules = 'deny: [{ id: no, actions: [publish], topics: ["x/${device.labels.site}"] }]'
  const policy = policyWith('{ cidr: 10.0.0.0/8, notAfter: 2027-01-01T00:00:00Z }', rules)
  const taken = renderPolicy(policy, device, { from: inside, at: year2026 })
  assert.equal(taken.term.until, year2027)
  assert.deepEqual([taken.holdAt('10.9.9.9'), taken.holdAt('192.0.2.1'), taken.holdAt(undefined)], [true, false, false])
  assert.equal(ask(policy, { from: inside, at: year2027 }, 'f/x'), 'allow')
})

test('a role that is bound twice is there when either of its bindings holds', () => {
  const more =
    '{ cidr: 10.0.0.0/8 } }\n  - { role: bound, match: { ids: d1 }, when: { notBefore: 2027-01-01T00:00:00Z }'
  const policy = policyWith(more)
  assert.equal(ask(policy, { from: inside, at: year2026 }), 'allow')
  assert.equal(ask(policy, { from: '192.0.2.1', at: year2027 }), 'allow')
  assert.equal(ask(policy, { from: '192.0.2.1', at: year2026 }), 'condition')
})

test('explain names what a condition withholds, and the other rules as ever', () => {
  const rules =
    'allow: [{ id: a, actions: [publish], topics: [b/#] }], deny: [{ id: no, actions: [publish], topics: [f/#] }]'
  const rights = renderPolicy(policyWith('{ cidr: 10.0.0.0/8 }', rules), device, { from: '192.0.2.1' })
  const explain = (topic: string) => {
    const { decision, considered } = rights.explain({
      ...{ action: 'publish', qos: 0, retain: false, size: 0 },
      topic: parseTopicName(topic),
    })
    return [decision.effect, ...considered.map(({ rule, failed }) => `${rule} ${failed ?? 'matches'}`)]
  }
  assert.deepEqual(explain('b/x'), ['deny', 'free/a topic', 'bound/no topic', 'bound/a condition'])
  const question = { action: 'will', topic: parseTopicName('b/x'), qos: 0, retain: false, size: 0 } as const
  assert.deepEqual(rights.explain({ ...question, action: 'publish' }).nearest, {
    ...{ rule: 'bound/a', at: 'p.yaml:6:42', failed: 'condition' },
  })
  assert.deepEqual(explain('f/x'), ['allow', 'free/a matches', 'bound/no condition', 'bound/a topic'])
  assert.deepEqual(explain('c'), ['deny', 'free/a topic', 'bound/no topic', 'bound/a topic'])
})

test('a subscription that only a condition withholds is refused for that', () => {
  const rights = renderPolicy(policyWith('{ cidr: 10.0.0.0/8 }'), device, { from: '192.0.2.1' })
  const reason = (filter: string) => {
    const decision = rights.subscribe(parseTopicFilter(filter), 1)
    return decision.effect === 'deny' ? [decision.reason, ...decision.rules] : ['allow']
  }
  assert.deepEqual(reason('b/+'), ['condition', 'bound/a'])
  assert.deepEqual(reason('f/+'), ['allow'])
  assert.deepEqual(reason('+/x'), ['not_contained'])
  const heard = rights.receive(parseTopicName('b/x'))
  assert.deepEqual(heard, { effect: 'deny', reason: 'condition', rules: ['bound/a'], policyVersion: 1 })
})

test('rights say how long they last and whether they go by the address', () => {
  const termAt = (when: string, at: number) => renderPolicy(policyWith(when), device, { from: inside, at }).term
  const both = '{ notBefore: 2027-01-01T00:00:00Z, notAfter: 2028-01-01T00:00:00Z }'
  assert.deepEqual(termAt(both, year2026), { since: -Infinity, until: year2027 })
  assert.deepEqual(termAt(both, year2027), { since: year2027, until: year2028 })
  assert.deepEqual(termAt(both, year2028), { since: year2028, until: Infinity })
  assert.deepEqual(termAt('{ cidr: 10.0.0.0/8 }', year2027), { since: -Infinity, until: Infinity })
  assert.equal(renderPolicy(policyWith(both), device, { at: year2027 }).dependsOnAddress, false)
  assert.equal(renderPolicy(policyWith('{ cidr: 10.0.0.0/8 }'), device).dependsOnAddress, true)
  const here = renderPolicy(policyWith('{ cidr: 10.0.0.0/8 }'), device, { from: '10.1.2.3' })
  assert.deepEqual(
    ['10.9.9.9', '::ffff:10.9.9.9', '192.0.2.1', 'nowhere', undefined].map((from) => here.holdAt(from)),
    [true, true, false, false, false],
  )
})

test('within their term rights do not change: random conditions, asked at random moments', () => {
  const random = seeded(7)
  const day = 86_400_000
  const pick = () => year2027 + random(20) * day
  let differing = 0
  for (let round = 0; round < 300; round++) {
    const [one, other] = [pick(), pick()].sort((left, right) => left - right) as [number, number]
    const limits = [
      random(3) > 0 && `notBefore: ${new Date(one).toISOString()}`,
      random(3) > 0 && `notAfter: ${new Date(other + day).toISOString()}`,
    ]
    const policy = policyWith(`{ ${['cidr: 10.0.0.0/8', ...limits.filter((limit) => limit !== false)].join(', ')} }`)
    const [at, later] = [pick(), pick()]
    const { since, until } = renderPolicy(policy, device, { from: inside, at }).term
    const [now, then] = [at, later].map((moment) => ask(policy, { from: inside, at: moment }))
    if (since <= later && later < until) assert.equal(then, now)
    else if (then !== now) differing++
  }
  assert.ok(differing > 50, `only ${differing} limits changed anything: the generator tests nothing`)
})

test('a test of the file says where from and when it is asked, and what it does not say is not known', () => {
  const policy = parsePolicy(
    `apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: p, version: 1 }
roles: { r: { allow: [{ id: a, actions: [publish], topics: [b/#] }] } }
bindings: [{ role: r, match: { tier: tpm }, when: { cidr: 10.0.0.0/8, notAfter: 2028-01-01T00:00:00Z } }]
tests:
  - { as: { id: d1, tier: tpm }, from: 10.1.2.3, at: 2027-01-01T00:00:00Z, publish: b/x, expect: allow, by: a }
  - { as: { id: d1, tier: tpm }, from: 192.0.2.1, at: 2027-01-01T00:00:00Z, publish: b/x, expect: deny, reason: condition }
  - { as: { id: d1, tier: tpm }, from: "::ffff:10.1.2.3", at: 2028-01-01T00:00:00Z, publish: b/x, expect: deny, reason: condition }
  - { as: { id: d1, tier: tpm }, publish: b/x, expect: deny, reason: condition }
`,
    'p.yaml',
  )
  const { passed, failed } = runPolicyTests(policy)
  assert.deepEqual({ passed, failed }, { passed: 4, failed: [] })
})

function dotted(bytes: readonly number[]): string {
  return bytes.join('.')
}

function grouped(bytes: readonly number[]): string {
  return Array.from({ length: 8 }, (_, at) =>
    ((bytes[2 * at] ?? 0) * 256 + (bytes[2 * at + 1] ?? 0)).toString(16),
  ).join(':')
}
