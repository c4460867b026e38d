import assert from 'node:assert/strict'
import test from 'node:test'
import type { DeviceId, Labels } from '#protocol'
import { parseDeviceId } from '#protocol'
import { defaultPolicy } from '#policy'
import { AffectedDevices } from '../../policy/diff/devices.js'
import { diffPolicies } from '../../policy/diff/policies.js'
import { parsePolicy } from '../../policy/reading/parse.js'

const base = `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: plant, version: 1 }
roles:
  sensor:
    allow:
      - { id: say, actions: [publish], topics: ["plant/\${device.id}/#"], qos: { max: 1 }, rate: { messages: 10, per: 1s } }
      - { id: hear, actions: [subscribe, receive], topics: ["cmd/\${device.id}"] }
    deny:
      - { id: hush, actions: [publish], topics: [plant/secret] }
bindings:
  - { role: sensor, match: { labels: { kind: sensor } } }
`

/** What each change brings, of what, from what to what. */
function changesOf(changed: string, from = base) {
  const changes = diffPolicies(parsePolicy(from, 'old.yaml'), parsePolicy(changed, 'new.yaml'))
  return changes.map(({ brings, rule, role, what, from, to }) => [brings, rule ?? role ?? 'everyone', what, from, to])
}

/** The base with a piece of it said otherwise. */
function saying(piece: string, otherwise: string): string {
  assert.ok(base.includes(piece))
  return base.replace(piece, otherwise)
}

test('each constraint of a rule that is said otherwise is a gain or a loss of its own', () => {
  const rate = 'rate: { messages: 10, per: 1s }'
  for (const [piece, otherwise, ...expected] of [
    ['max: 1', 'max: 2', 'more', 'qos', '1', '2'],
    ['max: 1 }', 'max: 1 }, respond: { within: 30s }', 'more', 'respond', 'never', 'within 30s'],
    ['max: 1', 'max: 0', 'less', 'qos', '1', '0'],
    [rate, 'retain: true, rate: { messages: 10, per: 1s }', 'more', 'retain', 'false', 'true'],
    [rate, `payload: { maxBytes: 9 }, ${rate}`, 'less', 'payload', 'no limit', '9 bytes'],
    [rate, 'rate: { messages: 20, per: 1s }', 'more', 'rate', '10 per 1s, burst 10', '20 per 1s, burst 20'],
    [rate, 'rate: { messages: 60, per: 1m }', 'other', 'rate', '10 per 1s, burst 10', '60 per 1m, burst 60'],
    [rate, 'rate: { messages: 5, per: 1s }', 'less', 'rate', '10 per 1s, burst 10', '5 per 1s, burst 5'],
    [
      'actions: [publish], topics: ["pl',
      'actions: [publish, will], topics: ["pl',
      'more',
      'actions',
      'publish',
      'publish, will',
    ],
    [
      '"plant/${device.id}/#"',
      '"plant/${device.id}/+"',
      'less',
      'topics',
      'plant/${device.id}/#',
      'plant/${device.id}/+',
    ],
    ['"plant/${device.id}/#"', '"plant/+/#"', 'more', 'topics', 'plant/${device.id}/#', 'plant/+/#'],
    ['"plant/${device.id}/#"', '"plant/x"', 'other', 'topics', 'plant/${device.id}/#', 'plant/x'],
  ] as const) {
    const [brings, what, from, to] = expected
    assert.deepEqual(changesOf(saying(piece, otherwise)), [[brings, 'sensor/say', what, from, to]], otherwise)
  }
  assert.deepEqual(changesOf(saying(', rate: { messages: 10, per: 1s }', '')), [
    ['more', 'sensor/say', 'rate', '10 per 1s, burst 10', 'no limit'],
  ])
})

test('a rule that comes or goes is a gain or a loss, and of a deny it is the other way round', () => {
  const hush = '      - { id: hush, actions: [publish], topics: [plant/secret] }\n'
  const say = ['plant/${device.id}/#', 'qos 1', '10 per 1s, burst 10'] as const
  assert.deepEqual(changesOf(saying('id: say', 'id: tell')), [
    ['less', 'sensor/say', 'rule', `publish: ${say.join('; ')}`, undefined],
    ['more', 'sensor/tell', 'rule', undefined, `publish: ${say.join('; ')}`],
  ])
  assert.deepEqual(changesOf(saying(`    deny:\n${hush}`, '')), [
    ['more', 'sensor/hush', 'rule', 'publish: plant/secret', undefined],
  ])
  assert.deepEqual(changesOf(saying('plant/secret', 'plant/#')), [
    ['less', 'sensor/hush', 'topics', 'plant/secret', 'plant/#'],
  ])
})

test('sessions, settings and who has a role are compared, and conditions as far as they can be', () => {
  const match = 'match: { labels: { kind: sensor } }'
  const sensors = 'labels kind=sensor'
  assert.deepEqual(changesOf(saying('  sensor:\n', '  sensor:\n    sessions: { max: 3 }\n')), [
    ['more', 'sensor', 'sessions', '1', '3'],
  ])
  assert.deepEqual(changesOf(saying('roles:\n', 'onDenyPublish: drop\nonOverlap: reject\nroles:\n')), [
    ['other', 'everyone', 'onDenyPublish', 'disconnect', 'drop'],
    ['less', 'everyone', 'onOverlap', 'filter', 'reject'],
  ])
  assert.deepEqual(changesOf(saying('roles:\n', 'quarantine: { role: sensor }\nroles:\n')), [
    ['more', 'everyone', 'quarantine', undefined, 'sensor'],
  ])
  assert.deepEqual(changesOf(saying(match, 'match: { ids: [d2, d1] }')), [
    // The role denies as well, so that to have it is not simply to have more.
    ['other', 'sensor', 'binding', undefined, 'ids d1, d2'],
    ['other', 'sensor', 'binding', sensors, undefined],
  ])
  const when = '10.0.0.0/8, notAfter: 2027-01-01T00:00:00Z'
  const bound = saying(match, `${match}, when: { cidr: ${when} }`)
  const told = `${sensors} (from 10.0.0.0/8; not after 2027-01-01T00:00:00.000Z)`
  assert.deepEqual(changesOf(bound), [['other', 'sensor', 'when', `${sensors} (always)`, told]])
  assert.deepEqual(
    changesOf(bound.replace('10.0.0.0/8', '"2001:db8::/32"'), bound)[0]?.at(-1),
    told.replace('10.0.0.0/8', '2001:db8::/32'),
  )
})

test('what people may do is compared too', () => {
  const people = (acts: string, who: string, more = '') =>
    `${base}operators:\n  roles:\n    desk: { allow: [{ id: all, acts: [${acts}]${more} }] }\n  bindings: [{ role: desk, operators: [${who}] }]\n`
  assert.deepEqual(changesOf(people('devices.read, locks.add', 'ada, bob'), people('devices.read', 'ada')), [
    ['more', 'desk/all', 'acts', 'devices.read', 'devices.read, locks.add'],
    ['more', 'desk', 'binding', 'ada', 'ada, bob'],
  ])
  const narrow = people('devices.read', 'ada', ', labels: { site: oslo }')
  assert.deepEqual(changesOf(narrow, people('devices.read', 'ada')), [
    ['less', 'desk/all', 'labels', 'any', 'site=oslo'],
  ])
  assert.deepEqual(changesOf(people('devices.read', 'ada')), [
    ['more', 'desk/all', 'rule', undefined, 'devices.read; any; no limit'],
    ['more', 'desk', 'binding', 'nobody', 'ada'],
  ])
})

test('what comes to the same is no change: order, comments, tests, names, and topics that others cover', () => {
  assert.deepEqual(changesOf(saying('name: plant, version: 1', 'name: works, version: 7')), [])
  assert.deepEqual(changesOf(saying('[subscribe, receive]', '[receive, subscribe]')), [])
  assert.deepEqual(changesOf(saying('"plant/${device.id}/#"]', '"plant/${device.id}/#", "plant/${device.id}/x"]')), [])
  const both = 'match: { tier: [tpm, token] }'
  const bound = saying('match: { labels: { kind: sensor } }', both)
  assert.deepEqual(changesOf(bound.replace('[tpm, token]', '[token, tpm]'), bound), [])
})

test('what a policy gives to nobody it takes from nobody when it goes', () => {
  const parsed = parsePolicy(defaultPolicy, 'policy.yaml')
  assert.deepEqual(diffPolicies(parsed, parsed), [])
  const nobody = parsePolicy(
    base.replace(/roles:.*/s, 'roles: { none: {} }\nbindings: [{ role: none, match: { ids: [x] } }]'),
    'p',
  )
  const all = diffPolicies(nobody, parsed)
  const back = diffPolicies(parsed, nobody)
  assert.equal(all.length, back.length)
  const opposite = { more: 'less', less: 'more', other: 'other' } as const
  assert.deepEqual(
    back.map(({ brings, from, to, what }) => [opposite[brings], what, to, from]).toSorted(),
    all.map(({ brings, from, to, what }) => [brings, what, from, to]).toSorted(),
  )
})

test('known devices are counted by what they gain and lose, and the first few named', () => {
  const from = parsePolicy(base, 'old.yaml')
  const to = parsePolicy(
    saying('max: 1', 'max: 2').replace(
      'bindings:\n',
      'bindings:\n  - { role: sensor, match: { labels: { kind: pump } } }\n',
    ),
    'new.yaml',
  )
  const affected = new AffectedDevices(from, to)
  const add = (id: string, labels: Labels): DeviceId => {
    const device = parseDeviceId(id)
    affected.add({ id: device, tier: 'tpm', labels })
    return device
  }
  const sensors = Array.from({ length: 7 }, (_, at) => add(`s${at}`, { kind: 'sensor' }))
  const pump = add('p1', { kind: 'pump' })
  add('x1', { kind: 'camera' })
  const { known, otherRoles, more, less, other } = affected.view
  assert.deepEqual([known, more.count, more.first], [9, 8, sensors.slice(0, 5)])
  assert.deepEqual(otherRoles, { count: 1, first: [pump] })
  assert.deepEqual(less, { count: 1, first: [pump] }, 'its role brings a deny')
  assert.deepEqual(other, { count: 1, first: [pump] })
})
