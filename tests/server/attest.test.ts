import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { createMemoryAudit } from '#audit'
import {
  type ApplyPcrPolicyAnswer,
  type AttestationView,
  type DeviceView,
  encodeHex,
  type LearnPcrsAnswer,
  type PcrPolicyView,
  type Problem,
  type TpmMakerView,
} from '#protocol'
import { PcrPolicies } from '../../server/pcr-policies/pcr-policies.js'
import { boot, booted, joined, quoted } from './attested-device.js'
import { policyFor } from './policies.js'
import { by, createWorld } from './world.js'

const digest = 'ab'.repeat(32)
const document = (over: object = {}) =>
  JSON.stringify({ name: 'gateways', mode: 'observe', profiles: ['default'], pcrs: { 0: [], 7: [digest] }, ...over })

/** A server with ada at it, and a device that has quoted. */
async function openWorld(t: TestContext) {
  const world = await createWorld(t)
  const ada = await world.operator()
  const apply = (body: string, query = '') =>
    world.call('applyPcrPolicy', ada, { body, type: 'application/yaml', query })
  return { ...world, ada, apply }
}

test('a PCR policy is applied, shown, changed and removed, each with a record and a version', async (t) => {
  const { apply, call, ada, audit } = await openWorld(t)
  const first = (await apply(document(), '?comment=first')).json() as ApplyPcrPolicyAnswer
  assert.deepEqual([first.policy.version, first.policy.mode, first.changed], [1, 'observe', true])
  assert.equal(((await apply(document())).json() as ApplyPcrPolicyAnswer).changed, false)
  const second = (await apply(document({ mode: 'enforce' }))).json() as ApplyPcrPolicyAnswer
  assert.deepEqual([second.policy.version, second.policy.mode], [2, 'enforce'])
  const [listed = assert.fail()] = (await call('listPcrPolicies', ada)).json() as readonly PcrPolicyView[]
  assert.deepEqual([listed.name, listed.version, listed.pcrs, listed.by], ['gateways', 2, [0, 7], 'ada'])

  assert.equal((await call('removePcrPolicy', ada, { id: 'gateways' })).status, 200)
  assert.equal((await call('getPcrPolicy', ada, { id: 'gateways' })).status, 404)
  const again = (await apply(document())).json() as ApplyPcrPolicyAnswer
  assert.equal(again.policy.version, 4) // a number that one version has had, its removal too, is never another's
  const records = audit.records.filter(({ event }) => event.startsWith('pcr_policy.'))
  assert.deepEqual(
    records.map((record) => [record.event, 'policyVersion' in record && record.policyVersion]),
    [
      ['pcr_policy.apply', 1],
      ['pcr_policy.apply', 2],
      ['pcr_policy.remove', 2],
      ['pcr_policy.apply', 4],
    ],
  )
})

test('a dry run changes nothing, and says which devices would be bad', async (t) => {
  const { apply, call, ada, registry } = await openWorld(t)
  await quoted(registry, await joined(registry, 'pump-1'))
  const tried = (await apply(document(), '?dryRun=true')).json() as ApplyPcrPolicyAnswer
  assert.deepEqual([tried.dryRun, tried.wouldFail], [true, ['pump-1']])
  assert.deepEqual((await call('listPcrPolicies', ada)).json(), [])
})

test('what is no policy, and a second one for a profile, are refused', async (t) => {
  const { apply } = await openWorld(t)
  await apply(document())
  for (const [body, status, code] of [
    [document({ mode: 'warn' }), 422, 'PCR_POLICY_INVALID'],
    ['{', 422, 'POLICY_SYNTAX'],
    ['', 422, 'POLICY_EMPTY'],
    ['a: &a [*a]', 422, 'POLICY_SYNTAX'],
    [document({ name: 'others' }), 409, 'PCR_POLICY_OVERLAP'],
  ] as const) {
    const answer = await apply(body)
    assert.deepEqual([answer.status, (answer.json() as Problem).code], [status, code], body)
  }
})

test('a device’s last quoted values are learned, with a window, and the document keeps what else it says', async (t) => {
  const { apply, call, ada, registry, audit } = await openWorld(t)
  const pump = await joined(registry, 'pump-1')
  const early = await call('learnPcrs', ada, { body: { device: pump } })
  assert.equal((early.json() as Problem).code, 'NOTHING_QUOTED')
  await quoted(registry, pump)
  const source = `# who touches this asks ada\nname: gateways\nmode: enforce\nprofiles: [default]\npcrs: { 0: [], 7: ["${digest}"] }\n`
  await apply(source)
  const until = '2027-01-01T00:00:00Z'
  const body = { device: pump, until, comment: 'firmware 1.0' }
  const learnt = (await call('learnPcrs', ada, { body })).json() as LearnPcrsAnswer
  assert.deepEqual([learnt.learned, learnt.policy.version], [[0, 7], 2])
  assert.match(learnt.policy.source, /^# who touches this asks ada\n/)
  assert.ok(
    learnt.policy.source.includes(encodeHex(booted.get(7) ?? assert.fail())) && learnt.policy.source.includes(digest),
  )
  const record = audit.records.findLast(({ event }) => event === 'pcr_policy.apply')
  assert.ok(record?.event === 'pcr_policy.apply' && record.device === pump && record.comment === 'firmware 1.0')
  const forGood = (await call('learnPcrs', ada, { body: { device: pump } })).json() as LearnPcrsAnswer
  assert.deepEqual(forGood.learned, [0, 7])
  const known = (await call('learnPcrs', ada, { body: { device: pump } })).json() as LearnPcrsAnswer
  assert.deepEqual([known.learned, known.policy.version], [[], 3])
})

test('a policy that is not there is made of what a device has quoted, to observe', async (t) => {
  const { call, ada, registry } = await openWorld(t)
  const pump = await joined(registry, 'pump-1')
  await quoted(registry, pump)
  assert.equal((await call('learnPcrs', ada, { body: { device: pump } })).status, 404)
  const learnt = (await call('learnPcrs', ada, { body: { device: pump, policy: 'pumps' } })).json() as LearnPcrsAnswer
  assert.deepEqual([learnt.policy.mode, learnt.policy.profiles, learnt.learned], ['observe', ['default'], [0, 7]])
})

test('operators see whose TPMs are trusted, and what is forgiven whom', async (t) => {
  const { call, ada } = await openWorld(t)
  const makers = (await call('listTpmMakers', ada)).json() as readonly TpmMakerView[]
  assert.deepEqual(
    makers.map(({ id, name, kind, forgiven }) => [id, name, kind, forgiven]),
    [
      ['ekRoots', undefined, 'own', []],
      ['IFX', 'Infineon', 'chip', []],
      ['GOOG', 'Google Compute Engine', 'virtual', ['ekUsageMissing']],
    ],
  )
  const roots = makers.flatMap((maker) => maker.roots)
  assert.ok(roots.every(({ notAfter, fingerprint }) => Date.parse(notAfter) > 0 && fingerprint.length === 64))
  assert.ok(
    roots.some(({ subject }) => subject.includes('O=Infineon Technologies AG')),
    JSON.stringify(roots),
  )
})

test('what a device has proven is shown with its verdict, and its event log in words', async (t) => {
  const { call, ada, registry, attesting } = await openWorld(t)
  const pump = await joined(registry, 'pump-1')
  const before = (await call('getAttestation', ada, { id: pump })).json() as AttestationView
  assert.deepEqual([before.verdict, before.pcrs, before.events], [undefined, [], undefined])
  await quoted(registry, pump)
  await attesting.eventLogs.keep(pump, boot)
  const shown = (await call('getAttestation', ada, { id: pump })).json() as AttestationView
  assert.deepEqual([shown.verdict?.outcome, shown.verdict?.reasons], ['bad', ['PCR_MISMATCH: PCR 7 has a value']])
  assert.deepEqual(
    shown.pcrs.map(({ pcr, replays }) => [pcr, replays]),
    [
      [0, true],
      [7, true],
    ],
  )
  assert.ok(shown.events?.some(({ text, measured }) => text === 'SecureBoot = 01' && measured))
  assert.equal(((await call('getDevice', ada, { id: pump })).json() as DeviceView).verdict?.outcome, 'bad')
})

test('who may read policies may not change them, and who sees devices of one site sees what these have proven', async (t) => {
  const { apply, call, operator, registry, policy } = await openWorld(t)
  const pump = await joined(registry, 'pump-1')
  const bob = await operator('bob')
  await apply(document())
  await policy.apply(policyFor(['attest.read', 'devices.read'], {}), { file: 'p', dryRun: false, by })
  assert.equal((await call('listPcrPolicies', bob)).status, 200)
  assert.equal((await call('getAttestation', bob, { id: pump })).status, 200)
  for (const [name, options] of [
    ['applyPcrPolicy', { body: document(), type: 'application/yaml' }],
    ['removePcrPolicy', { id: 'gateways' }],
    ['learnPcrs', { body: { device: pump } }],
  ] as const) {
    assert.equal((await call(name, bob, options)).status, 403, name)
  }
  const oslo = policyFor(['devices.read'], { labels: { site: 'oslo' } }, 3)
  await policy.apply(oslo, { file: 'p', dryRun: false, by })
  assert.equal((await call('getAttestation', bob, { id: pump })).status, 403)
})

test('policies hold after a start, and one that cannot be read lets nothing start', async (t) => {
  const { apply, store, clock } = await openWorld(t)
  await apply(document())
  const options = { store, audit: createMemoryAudit({ now: () => clock.now }), now: () => clock.now }
  const [found] = (await PcrPolicies.open(options)).all
  assert.deepEqual([found?.name, found?.version], ['gateways', 1])
  await store.commit({ puts: [['server/pcr-policy/gateways/0000000000000002', new TextEncoder().encode('{')]] })
  await assert.rejects(PcrPolicies.open(options), { code: 'PCR_POLICY_UNREADABLE' })
})
