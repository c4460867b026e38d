import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { createMemoryAudit } from '#audit'
import { parseDeviceId, parseOperatorName, parseTopicName } from '#protocol'
import { defaultPolicy, parsePolicy } from '#policy'
import { type Changes, createMemoryStore, type Store, StoreError } from '#store'
import { PolicyInForce } from '../../server/policy-in-force.js'

const touchmark = { operator: parseOperatorName('touchmark') }
const ada = { operator: parseOperatorName('ada'), peer: '192.0.2.1:1000', comment: 'ticket 4711' }
const bob = { operator: parseOperatorName('bob'), comment: 'it was better before' }
const d1 = parseDeviceId('d1')
const { length: tests } = parsePolicy(defaultPolicy, 'policy.yaml').tests
const second = defaultPolicy.replace('version: 1 ', 'version: 2 ').replaceAll('/telemetry', '/readings')
const apply = { file: 'policy.yaml', dryRun: false, by: ada }
const rollback = { dryRun: false, by: bob }

async function open(t: TestContext, store: Store = createMemoryStore()) {
  const clock = { now: 1000 }
  const audit = createMemoryAudit()
  t.after(() => store.close())
  const attributesOf = (id: typeof d1) => ({ id, tier: 'token' as const, labels: {} })
  const reopen = () =>
    PolicyInForce.open({ store, audit, attributesOf, now: () => clock.now }, defaultPolicy, touchmark)
  const policy = await reopen()
  const may = (topic: string, of = policy) =>
    of.effectiveFor(d1, undefined)?.publish({ topic: parseTopicName(topic), qos: 0, retain: false, size: 1 }).effect
  const activations = () => audit.records.flatMap((record) => (record.event === 'policy.activate' ? [record] : []))
  return { policy, audit, store, clock, reopen, may, activations }
}

/** A store whose disk gives out when it is told to: from that commit on, as the one on disk does. */
function failing(): { readonly store: Store; failAfter: number } {
  const store = createMemoryStore()
  const failing = {
    failAfter: Infinity,
    store: {
      ...store,
      async commit(changes: Changes) {
        if (failing.failAfter-- <= 0) throw new StoreError('STORE_FULL', 'no space left on device')
        await store.commit(changes)
      },
    },
  }
  return failing
}

test('who put which policy in force, when and why is told newest first, and again after a restart', async (t) => {
  const { policy, clock, reopen, activations } = await open(t)
  clock.now = 2000
  await policy.apply(second, apply)
  const told = policy.versions.map((told) => [
    ...[told.version, told.since, told.operator, told.peer, told.comment, told.tests],
  ])
  assert.deepEqual(told, [
    [2, 2000, 'ada', '192.0.2.1:1000', 'ticket 4711', tests],
    [1, 1000, 'touchmark', undefined, undefined, tests],
  ])
  for (const { version, hash, record } of policy.versions) {
    const recorded = activations().find(({ sequence }) => sequence === record)
    assert.deepEqual([recorded?.policyVersion, recorded?.policyHash], [version, hash])
  }
  const again = await reopen()
  assert.deepEqual(again.versions, policy.versions)
  assert.equal((await again.versionOf(1)).source, defaultPolicy)
  await assert.rejects(again.versionOf(3), { code: 'NOT_FOUND' })
})

test('versions of before these facts were kept are told, shown and put back too', async (t) => {
  const store = createMemoryStore()
  const text = (source: string) => new TextEncoder().encode(source)
  await store.commit({
    puts: [
      ['server/policy/version/0000000000000001', text(defaultPolicy)],
      ['server/policy/version/0000000000000002', text(second)],
      ['server/policy/current', text('server/policy/version/0000000000000002')],
    ],
  })
  const { policy, may } = await open(t, store)
  assert.deepEqual(
    policy.versions.map(({ version, since, operator }) => [version, since, operator]),
    [2, 1].map((version) => [version, undefined, undefined]),
  )
  assert.equal((await policy.versionOf(1)).source, defaultPolicy)
  assert.equal((await policy.rollback(rollback)).version, 3)
  assert.equal(may('devices/d1/telemetry/t'), 'allow')
})

test('a rollback puts the policy before in force at once, as a new version, and says so in the log and the history', async (t) => {
  const { policy, may, activations, reopen } = await open(t)
  policy.onChange(() => 7)
  await policy.apply(second, apply)
  assert.equal(may('devices/d1/telemetry/t'), 'deny')
  const answer = await policy.rollback(rollback)
  assert.deepEqual([answer.version, answer.restores, answer.tests.passed, answer.sessions], [3, 1, tests, 7])
  assert.equal(may('devices/d1/telemetry/t'), 'allow')
  assert.equal(policy.view.source, defaultPolicy.replace('version: 1 ', 'version: 3 '))
  const record = activations().at(-1)
  assert.deepEqual(
    [record?.policyVersion, record?.restores, record?.operator, record?.comment],
    [...[3, 1, 'bob', 'it was better before']],
  )
  assert.deepEqual(policy.versions[0]?.restores, 1)
  assert.equal((await policy.rollback(rollback)).restores, 2)
  assert.equal(may('devices/d1/readings/t', await reopen()), 'allow')
})

test('a dry rollback checks and changes nothing, and what is in force already or never was is refused', async (t) => {
  const { policy, activations } = await open(t)
  await assert.rejects(policy.rollback(rollback), { code: 'NOT_FOUND' })
  await policy.apply(second, apply)
  const before = [policy.view, activations().length]
  assert.deepEqual((await policy.rollback({ ...rollback, dryRun: true })).version, 3)
  await assert.rejects(policy.rollback({ ...rollback, version: 2 }), { code: 'POLICY_VERSION' })
  await assert.rejects(policy.rollback({ ...rollback, version: 9 }), { code: 'NOT_FOUND' })
  assert.deepEqual([policy.view, activations().length], before)
})

test('what this release can no longer read, and what fails its tests by now, does not come back', async (t) => {
  const { policy, store, audit } = await open(t)
  await policy.apply(second, apply)
  for (const [source, code] of [
    [defaultPolicy.replace('roles:', 'rules:'), 'POLICY_UNKNOWN_KEY'],
    ['', 'POLICY_EMPTY'],
    [defaultPolicy.replace('expect: allow', 'expect: deny'), 'POLICY_TESTS_FAILED'],
    ['[[[['.repeat(10_000), 'POLICY_SYNTAX'],
  ] as const) {
    await store.commit({ puts: [['server/policy/version/0000000000000001', new TextEncoder().encode(source)]] })
    await assert.rejects(policy.rollback(rollback), { code })
    const refused = audit.records.at(-1)
    assert.deepEqual([refused?.event, refused && 'reason' in refused && refused.reason], ['policy.refuse', code])
  }
  await store.commit({ deletes: ['server/policy/version/0000000000000001'] })
  await assert.rejects(policy.rollback(rollback), { code: 'POLICY_MISSING' })
  assert.equal(policy.view.source, second)
})

test('where the disk takes no more the old policy stays, whichever write is the first to fail', async (t) => {
  for (const failAfter of [0, 1]) {
    const disk = failing()
    const { policy, may, reopen, activations } = await open(t, disk.store)
    await policy.apply(second, apply)
    const { view, versions } = policy
    disk.failAfter = failAfter
    await assert.rejects(policy.rollback(rollback), { code: 'STORE_FULL' })
    assert.deepEqual([policy.view, policy.versions], [view, versions])
    assert.equal(may('devices/d1/readings/t'), 'allow')
    assert.equal(activations().at(-1)?.policyVersion, 2)
    disk.failAfter = Infinity
    const again = await reopen()
    assert.deepEqual([again.view, again.versions], [view, versions])
  }
})

test('a number that a record may name is never another policy’s, also when that policy did not last', async (t) => {
  const disk = failing()
  const { policy, activations } = await open(t, disk.store)
  disk.failAfter = 1
  await assert.rejects(policy.apply(second, apply), { code: 'STORE_FULL' })
  assert.deepEqual(
    activations().map(({ policyVersion }) => policyVersion),
    [1, 2, 1],
  )
  disk.failAfter = Infinity
  const other = defaultPolicy.replace('version: 1 ', 'version: 2 ').replace('max: 4', 'max: 5')
  await assert.rejects(policy.apply(other, apply), { code: 'POLICY_VERSION' })
  assert.equal((await policy.apply(second, apply)).version, 2)
})

test('where the log takes nothing the number is free again, and where it cannot be synced the old policy decides', async (t) => {
  const { policy, audit, store } = await open(t)
  audit.hold()
  const applying = policy.apply(second, apply)
  await policyIs(policy, 2)
  audit.fail()
  await assert.rejects(applying)
  assert.equal(policy.view.version, 1)
  await assert.rejects(policy.apply(second.replace('version: 2', 'version: 4'), apply), { code: 'AUDIT_CLOSED' })
  assert.equal(await store.get('server/policy/version/0000000000000004'), undefined)
})

test('of two policies that come at once with the same number one is refused', async (t) => {
  const { policy } = await open(t)
  const other = second.replace('max: 4', 'max: 5')
  const outcomes = await Promise.allSettled([policy.apply(second, apply), policy.apply(other, apply)])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  )
  assert.equal(policy.view.source, second)
})

async function policyIs(policy: PolicyInForce, version: number): Promise<void> {
  while (policy.view.version !== version) await new Promise(setImmediate)
}
