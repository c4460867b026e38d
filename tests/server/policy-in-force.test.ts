import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { createMemoryAudit } from '#audit'
import { parseDeviceId, parseOperatorName, parseTopicName } from '#protocol'
import { defaultPolicy, everyRight, parsePolicy } from '#policy'
import { createMemoryStore } from '#store'
import { PolicyInForce } from '../../server/policy-in-force.js'

const by = { operator: parseOperatorName('ada') }
const d1 = parseDeviceId('d1')
const everything = everyRight.over('devices.read')
const options = { file: 'policy.yaml', dryRun: false, by }
const { length: tests } = parsePolicy(defaultPolicy, 'policy.yaml').tests
const newer = defaultPolicy.replace('version: 1 ', 'version: 2 ').replaceAll('/telemetry', '/readings')

/** Every device by token is a gateway, under conditions; without the tests, which know of none. */
const conditional = (when: string) =>
  newer
    .replace('match: { labels: { role: gateway } }', `match: { tier: token }\n    when: { ${when} }`)
    .replace(/\n# Questions.*/s, '')

async function open(t: TestContext) {
  const clock = { now: 0 }
  const labels = { now: { site: 'oslo' } as Record<string, string> }
  const audit = createMemoryAudit()
  const store = createMemoryStore()
  t.after(() => store.close())
  const attributesOf = (id: typeof d1) => (id === d1 ? { id, tier: 'token' as const, labels: labels.now } : undefined)
  const reopen = () => PolicyInForce.open({ store, audit, attributesOf, now: () => clock.now }, defaultPolicy, by)
  const policy = await reopen()
  const publish = (topic: string, of = policy) =>
    of.effectiveFor(d1, undefined)?.publish({ topic: parseTopicName(topic), qos: 0, retain: false, size: 1 }).effect
  const events = () => audit.records.map(({ event }) => event)
  return { policy, audit, clock, labels, publish, events, reopen }
}

test('a new policy decides at once, is recorded, and is in force after a restart', async (t) => {
  const { policy, publish, events, reopen } = await open(t)
  policy.onChange(() => 7)
  assert.equal(publish('devices/d1/readings/t'), 'deny')
  const answer = await policy.apply(newer, options)
  assert.deepEqual([answer.version, answer.tests.passed, answer.sessions], [2, tests, 7])
  assert.equal(publish('devices/d1/readings/t'), 'allow')
  assert.equal(publish('devices/d1/telemetry/t'), 'deny')
  assert.deepEqual(events(), ['policy.activate', 'policy.activate'])
  const again = await reopen()
  assert.deepEqual(again.view, policy.view)
  assert.equal(publish('devices/d1/readings/t', again), 'allow')
})

test('a policy that cannot be read or fails its tests leaves the old one in force, and is recorded', async (t) => {
  const { policy, events } = await open(t)
  const before = policy.view
  const failing = newer.replace('expect: allow', 'expect: deny')
  for (const [source, code] of [
    ['roles: [', 'POLICY_SYNTAX'],
    ['', 'POLICY_EMPTY'],
    [newer.replace('sessions:', 'session:'), 'POLICY_UNKNOWN_KEY'],
    [failing, 'POLICY_TESTS_FAILED'],
    [newer.replace('version: 2', 'version: 1'), 'POLICY_VERSION'],
  ] as const) {
    await assert.rejects(policy.apply(source, options), { code })
  }
  assert.deepEqual(policy.view, before)
  assert.deepEqual(events(), ['policy.activate', ...Array<string>(5).fill('policy.refuse')])
})

test('a version that would leave no number to the policies after it is refused, and says which is the highest', async (t) => {
  const { policy, events } = await open(t)
  const version = (number: number) => newer.replace('version: 2', `version: ${number}`)
  const highest = 2 + Math.floor((Number.MAX_SAFE_INTEGER - 2) / 2)
  for (const beyond of [Number.MAX_SAFE_INTEGER, highest + 1]) {
    for (const dryRun of [true, false]) {
      await assert.rejects(policy.apply(version(beyond), { ...options, dryRun }), {
        code: 'POLICY_VERSION',
        message: new RegExp(`at most ${highest}$`),
      })
    }
  }
  assert.deepEqual([policy.view.version, events().at(-1)], [1, 'policy.refuse'])
  for (const dated of [20_261_123, highest]) assert.equal((await policy.apply(version(dated), options)).version, dated)
  const next = version(highest + 1).replaceAll('/readings', '/values')
  assert.equal((await policy.apply(next, options)).version, highest + 1)
  assert.equal((await policy.rollback({ dryRun: false, by })).version, highest + 2)
})

test('an installation does not begin with the last version that there is', async (t) => {
  const store = createMemoryStore()
  t.after(() => store.close())
  const last = defaultPolicy.replace('version: 1 ', `version: ${Number.MAX_SAFE_INTEGER} `)
  const surroundings = { store, audit: createMemoryAudit(), attributesOf: () => undefined, now: () => 0 }
  await assert.rejects(PolicyInForce.open(surroundings, last, by), { code: 'POLICY_VERSION' })
})

test('a dry run checks all and changes nothing', async (t) => {
  const { policy, events } = await open(t)
  const answer = await policy.apply(newer, { ...options, dryRun: true })
  assert.deepEqual([answer.version, answer.dryRun, policy.view.version], [2, true, 1])
  assert.deepEqual(events(), ['policy.activate'])
})

test('is not answered before the log holds it durably, and not applied when the log takes nothing', async (t) => {
  const { policy, audit } = await open(t)
  audit.hold()
  let answered = false
  const applying = policy.apply(newer, options).then(() => (answered = true))
  await new Promise(setImmediate)
  assert.equal(answered, false)
  audit.release()
  await applying
  audit.fail()
  const newest = newer.replace('version: 2', 'version: 3')
  await assert.rejects(policy.apply(newest, options), { code: 'AUDIT_CLOSED' })
  assert.equal(policy.view.version, 2)
})

test('what a device has used up stays used: no reconnect, label or policy fills its bucket, and no question empties it', async (t) => {
  const { policy, labels } = await open(t)
  const rated = (version: number) =>
    defaultPolicy
      .replace('version: 1 ', `version: ${version} `)
      .replace('# rate: { messages: 50, per: 1s, burst: 200 }', 'rate: { messages: 1, per: 1h, burst: 2 }')
  const topic = parseTopicName('devices/d1/telemetry/t')
  const publish = () => policy.effectiveFor(d1, undefined)?.publish({ topic, qos: 0, retain: false, size: 1 }).effect
  await policy.apply(rated(2), options)
  for (let asked = 0; asked < 5; asked++) {
    assert.equal(policy.explain({ as: { id: d1 }, action: 'publish', topic }, everything).decision.effect, 'allow')
  }
  assert.equal(publish(), 'allow')
  labels.now = { site: 'rome' }
  assert.equal(publish(), 'allow')
  assert.equal(publish(), 'deny')
  await policy.apply(rated(3), options)
  assert.equal(publish(), 'deny')
})

test('is rendered once for a device, and anew for other labels, another policy and another life', async (t) => {
  const { policy, labels } = await open(t)
  const rendered = () => policy.effectiveFor(d1, undefined)
  const first = rendered()
  assert.equal(rendered(), first)
  labels.now = { site: 'rome' }
  const second = rendered()
  assert.notEqual(second, first)
  await policy.apply(newer, options)
  assert.notEqual(rendered(), second)
})

test('conditions are asked where and when a client is, and it is rendered anew only where that makes a difference', async (t) => {
  const { policy, clock } = await open(t)
  const limit = Date.UTC(2027, 0, 1)
  await policy.apply(conditional('cidr: 10.0.0.0/8, notAfter: 2027-01-01T00:00:00Z'), options)
  const may = (from?: string) =>
    policy
      .effectiveFor(d1, from)
      ?.publish({ topic: parseTopicName('devices/d2/cmd/x'), qos: 0, retain: false, size: 1 }).effect
  assert.deepEqual([may('10.1.2.3'), may('192.0.2.1'), may()], ['allow', 'deny', 'deny'])
  const inside = policy.effectiveFor(d1, '10.1.2.3')
  clock.now = limit - 1
  assert.equal(policy.effectiveFor(d1, '10.1.2.3'), inside)
  clock.now = limit
  assert.equal(may('10.1.2.3'), 'deny')
  clock.now = limit - 1
  assert.equal(may('10.1.2.3'), 'allow')
  await policy.apply(conditional('notAfter: 2027-01-01T00:00:00Z').replace('version: 2', 'version: 3'), options)
  assert.equal(policy.effectiveFor(d1, '10.1.2.3'), policy.effectiveFor(d1, '192.0.2.1'))
})

test('clients of a device in different networks share what they have in common, and none has the rights of the other', async (t) => {
  const { policy } = await open(t)
  await policy.apply(conditional('cidr: [10.0.0.0/8, 2001:db8::/32]'), options)
  const at = (from?: string) => policy.effectiveFor(d1, from)
  const [inside, outside, nowhere] = [at('10.1.2.3'), at('192.0.2.1'), at()]
  assert.equal(new Set([inside, outside, nowhere]).size, 3)
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(
      [at('10.1.2.3'), at('192.0.2.1'), at()].map((one, which) => one === [inside, outside, nowhere][which]),
      [true, true, true],
    )
  }
  assert.equal(at('2001:db8::7'), inside)
  assert.equal(at('198.51.100.1'), outside)
})

test('a question can name an address and a moment; without them it is asked now, from nowhere', async (t) => {
  const { policy, clock } = await open(t)
  await policy.apply(conditional('cidr: 10.0.0.0/8, notAfter: 2027-01-01T00:00:00Z'), options)
  const ask = (more: { from?: string; at?: string }) => {
    const question = { as: { id: d1 }, action: 'publish', topic: 'devices/d2/cmd/x', ...more } as const
    const { decision } = policy.explain(question, everything)
    return decision.effect === 'allow' ? 'allow' : decision.reason
  }
  const [from, at] = ['::ffff:10.1.2.3', '2027-01-01T00:59:59+01:00']
  assert.deepEqual([ask({}), ask({ from }), ask({ from, at })], ['condition', 'allow', 'allow'])
  clock.now = Date.UTC(2028, 0, 1)
  assert.deepEqual([ask({ from }), ask({ from, at })], ['condition', 'allow'])
  assert.throws(() => ask({ from: 'here' }), { code: 'REQUEST_INVALID' })
  assert.throws(() => ask({ at: 'soon' }), { code: 'REQUEST_INVALID' })
})

test('a rule that cannot be filled in is recorded once for each rendering, and its role gives nothing', async (t) => {
  const { policy, audit, labels, publish } = await open(t)
  const sited = newer
    .replace('devices/${device.id}/readings/#', 'sites/${device.labels.site}/#')
    .replace(/\n# Questions.*/s, '')
  labels.now = {}
  await policy.apply(sited, options)
  const errors = () => audit.records.flatMap((record) => (record.event === 'policy.render_error' ? [record] : []))
  for (let asked = 0; asked < 3; asked++) assert.equal(publish('devices/d1/state'), 'deny')
  assert.deepEqual(
    errors().map(({ device, policyVersion, comment }) => [device, policyVersion, /site is missing$/.test(comment)]),
    [[d1, 2, true]],
  )
  labels.now = { site: 'oslo' }
  assert.equal(publish('sites/oslo/x'), 'allow')
  assert.equal(errors().length, 1)
})

test('rights follow the labels of a device at once, and a device that is not known has none', async (t) => {
  const { policy, labels, publish } = await open(t)
  assert.equal(publish('devices/d2/cmd/reboot'), 'deny')
  labels.now = { role: 'gateway' }
  assert.equal(publish('devices/d2/cmd/reboot'), 'allow')
  assert.equal(policy.effectiveFor(parseDeviceId('nobody'), undefined), undefined)
})
