import assert from 'node:assert/strict'
import test from 'node:test'
import { everyRight, operatorRights, parsePolicy } from '#policy'
import { type ActName, actNames, isLimitedBy, parseOperatorName } from '#protocol'

const [ada, bob] = ['ada', 'bob'].map(parseOperatorName)

/** A policy of which only its `operators:` matter. */
function policyWith(operators: unknown) {
  const nothing = { roles: { none: {} }, bindings: [{ role: 'none', match: { ids: 'nobody' } }] }
  const metadata = { name: 'p', version: 1 }
  const content = { apiVersion: 'touchmark/v1', kind: 'TopicPolicy', metadata, ...nothing, operators }
  return parsePolicy(JSON.stringify(content), 'p.json')
}

function rightsOf(operators: unknown, operator = ada) {
  assert.ok(operator)
  return operatorRights(policyWith(operators), operator)
}

/** What ada may do by one rule. */
function ruled(rule: object) {
  return rightsOf({
    roles: { r: { allow: [{ id: 'a', ...rule }] } },
    bindings: [{ role: 'r', operators: ada }],
  })
}

test('what no rule gives nobody may: without operators, without a binding, and beside what is named', () => {
  assert.deepEqual(mayOf(rightsOf(undefined)), [])
  assert.deepEqual(mayOf(rightsOf({ roles: { r: allow('*') }, bindings: [{ role: 'r', operators: 'eve' }] })), [])
  assert.deepEqual(mayOf(ruled({ acts: ['devices.read'] })), ['devices.read'])
  assert.deepEqual(mayOf(rightsOf({ roles: { r: allow('*') }, bindings: [{ role: 'r', operators: 'ADA' }] })), [])
})

test('GROUP.* and * stand for all acts that there are', () => {
  assert.deepEqual(mayOf(ruled({ acts: ['sessions.*', 'status.read'] })), [
    'status.read',
    'sessions.read',
    'sessions.kick',
  ])
  assert.deepEqual(mayOf(ruled({ acts: ['*'] })), actNames)
  assert.deepEqual(mayOf(everyRight), actNames)
})

test('under labels * gives only what is done on devices, and whatever else is named is a mistake', () => {
  const rights = ruled({ acts: ['*'], labels: { site: 'oslo' } })
  assert.deepEqual(
    mayOf(rights),
    actNames.filter((act) => isLimitedBy(act, 'labels')),
  )
  assert.ok(!rights.may('policy.apply') && !rights.may('operators.invite') && !rights.may('audit.keys'))
  refused({ acts: ['policy.apply'], labels: { site: 'oslo' } }, 'POLICY_NO_EFFECT')
  refused({ acts: ['operators.*'], labels: { site: 'oslo' } }, 'POLICY_NO_EFFECT')
  refused({ acts: ['devices.read'], labels: {} }, 'POLICY_INVALID_VALUE')
})

test('a rule reaches devices that have all of its labels, and no inherited property is one', () => {
  const reach = ruled({ acts: ['locks.add'], labels: { site: 'oslo', kind: 'pump' } }).over('locks.add')
  assert.ok(reach.includes({ site: 'oslo', kind: 'pump', line: '4' }))
  assert.ok(!reach.includes({ site: 'oslo' }) && !reach.includes({}) && !reach.isEverything)
  const strange = ruled({ acts: ['locks.add'], labels: { constructor: 'x' } }).over('locks.add')
  assert.ok(!strange.includes({}))
})

test('labels and numbers of different rules are never mixed', () => {
  const few = { id: 'few', acts: ['locks.add'], labels: { site: 'oslo' }, maxDevices: 5 }
  const many = { id: 'many', acts: ['locks.add'], labels: { site: 'rome' }, maxDevices: 50 }
  const operators = { roles: { r: { allow: [few, many] } }, bindings: [{ role: 'r', operators: ['ada', 'bob'] }] }
  const reach = rightsOf(operators, bob).over('locks.add')
  assert.deepEqual(
    [5, 6, 50, 51].map((devices) => [
      reach.includes({ site: 'oslo' }, devices),
      reach.includes({ site: 'rome' }, devices),
    ]),
    [
      [true, true],
      [false, true],
      [false, true],
      [false, false],
    ],
  )
})

test('rights cover what is within them, and nothing that is wider by a label, a number or an act', () => {
  const oslo = ruled({ acts: ['locks.*', 'devices.read'], labels: { site: 'oslo' }, maxDevices: 10 })
  const line = ruled({ acts: ['locks.add'], labels: { site: 'oslo', line: '4' }, maxDevices: 10 })
  assert.ok(everyRight.covers(oslo) && oslo.covers(line) && oslo.covers(oslo) && line.covers(rightsOf(undefined)))
  assert.ok(!oslo.covers(everyRight) && !line.covers(oslo))
  assert.ok(!oslo.covers(ruled({ acts: ['locks.add'], labels: { site: 'oslo' } })))
  assert.ok(!oslo.covers(ruled({ acts: ['locks.add'], maxDevices: 10 })))
  assert.ok(!oslo.covers(ruled({ acts: ['devices.label'], labels: { site: 'oslo' } })))
})

test('a mistake in what people may do refuses the whole policy, and says where it is', () => {
  refused({ acts: ['devices.write'] }, 'POLICY_INVALID_VALUE')
  refused({ acts: ['nothing.*'] }, 'POLICY_INVALID_VALUE')
  refused({ acts: ['*.read'] }, 'POLICY_INVALID_VALUE')
  refused({ acts: [] }, 'POLICY_INVALID_VALUE')
  refused({ acts: ['devices.read'], maxDevices: 5 }, 'POLICY_NO_EFFECT')
  refused({ acts: ['locks.add'], maxDevices: 0 }, 'POLICY_INVALID_VALUE')
  refused({ acts: ['locks.add'], maxDevice: 5 }, 'POLICY_UNKNOWN_KEY')
  const unbound = { roles: { r: allow('*') }, bindings: [{ role: 'x', operators: 'ada' }] }
  assert.throws(() => policyWith(unbound), { code: 'POLICY_UNKNOWN_ROLE', at: /^p\.json:1:\d+$/ })
  const twice = { roles: { r: { allow: [...allow('*').allow, ...allow('*').allow] } }, bindings: unbound.bindings }
  assert.throws(() => policyWith(twice), { code: 'POLICY_DUPLICATE' })
  const strange = { roles: { r: allow('*') }, bindings: [{ role: 'r', operators: ['a/b'] }] }
  assert.throws(() => policyWith(strange), { code: 'POLICY_INVALID_VALUE' })
})

function allow(act: string) {
  return { allow: [{ id: 'a', acts: [act] }] }
}

function refused(rule: object, code: string): void {
  assert.throws(() => ruled(rule), { code }, JSON.stringify(rule))
}

function mayOf(rights: ReturnType<typeof operatorRights>): readonly ActName[] {
  return actNames.filter((act) => rights.may(act))
}
