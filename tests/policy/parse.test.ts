import assert from 'node:assert/strict'
import test from 'node:test'
import { PolicyError, type PolicyErrorCode } from '../../policy/errors.js'
import { policyHash } from '../../policy/hash.js'
import { parsePolicy } from '../../policy/reading/parse.js'

const head = 'apiVersion: touchmark/v1\nkind: TopicPolicy\nmetadata: { name: p, version: 1 }\n'
const bound = 'bindings: [{ role: r, match: { tier: tpm } }]\n'
const allowing = (rule: string): string => `${head}roles:\n  r:\n    allow:\n      - ${rule}\n${bound}`
const good = '{ id: a, actions: [publish], topics: ["t/${device.id}"] }'

function refuses(source: string, code: PolicyErrorCode, at?: string): void {
  assert.throws(
    () => parsePolicy(source, 'p.yaml'),
    (error) => {
      assert.ok(error instanceof PolicyError, String(error))
      assert.equal(error.code, code, error.message)
      assert.match(error.at, /^p\.yaml:\d+:\d+$/)
      if (at !== undefined) assert.equal(error.at, `p.yaml:${at}`)
      return true
    },
    source.slice(0, 200),
  )
}

test('reads a role with all that it can say', () => {
  const policy = parsePolicy(
    allowing(
      '{ id: a, actions: [publish, will], topics: ["t/${device.labels.site}/#"], qos: { max: 1 }, retain: true, payload: { maxBytes: 10 }, rate: { messages: 50, per: 1s } }',
    ),
    'p.yaml',
  )
  const [rule] = policy.roles.get('r')?.allow ?? []
  assert.deepEqual(rule, {
    id: 'r/a',
    at: 'p.yaml:7:9',
    actions: ['publish', 'will'],
    topics: [['t', { device: 'labels', label: 'site' }, '#']],
    maxQos: 1,
    retain: true,
    maxPayloadBytes: 10,
    rate: { messages: 50, perMs: 1000, burst: 50 },
  })
  assert.equal(policy.onDenyPublish, 'disconnect')
  assert.equal(policy.onOverlap, 'filter')
  assert.equal(policy.roles.get('r')?.maxSessions, 1)
})

test('refuses a file with nothing in it', () => {
  for (const source of ['', '\n\n', '# only\n# comments\n', '---\n', 'null', '~'])
    refuses(source, 'POLICY_EMPTY', '1:1')
})

test('refuses what is not YAML, or is more of YAML than a policy needs', () => {
  refuses('a: [1', 'POLICY_SYNTAX')
  refuses('a: "x', 'POLICY_SYNTAX')
  refuses('a: 1\n b: 2', 'POLICY_SYNTAX')
  refuses('a: 1\n---\nb: 2\n', 'POLICY_SYNTAX')
  refuses('a: &x [1]\nb: *x\n', 'POLICY_SYNTAX', '2:4')
  refuses('a: !secret x\n', 'POLICY_SYNTAX')
  refuses('? [a]\n: b\n', 'POLICY_SYNTAX')
  refuses('<<: { a: 1 }\n', 'POLICY_UNKNOWN_KEY', '1:1')
})

test('refuses a bomb of aliases before it unfolds', () => {
  const rows = Array.from({ length: 30 }, (_, at) => `l${at + 1}: &l${at + 1} [${`*l${at}, `.repeat(9)}*l${at}]`)
  refuses(`l0: &l0 [x]\n${rows.join('\n')}\n`, 'POLICY_SYNTAX')
})

test('refuses nesting without end before the parser recurses into it', () => {
  const levels = Array.from({ length: 300 }, (_, at) => `${' '.repeat(at)}k:`).join('\n')
  for (const source of [
    '['.repeat(200_000),
    '{a: '.repeat(60_000),
    '- '.repeat(120_000),
    '? '.repeat(120_000),
    levels,
  ]) {
    refuses(source, 'POLICY_SYNTAX')
  }
})

test('refuses a key twice, as it stands in YAML or JSON', () => {
  refuses(`${allowing(good)}kind: TopicPolicy\n`, 'POLICY_DUPLICATE', '9:1')
  refuses('{"kind": 1, "kind": 2}', 'POLICY_DUPLICATE', '1:13')
  refuses('{"kind": 1, "\\u006bind": 2}', 'POLICY_DUPLICATE', '1:13')
})

test('refuses unknown keys wherever they stand', () => {
  refuses(`${allowing(good)}role: {}\n`, 'POLICY_UNKNOWN_KEY', '9:1')
  refuses(allowing('{ id: a, actions: [publish], topics: [t], quos: { max: 1 } }'), 'POLICY_UNKNOWN_KEY', '7:51')
  refuses(allowing('{ id: a, actions: [publish], topics: [t], qos: { maximum: 1 } }'), 'POLICY_UNKNOWN_KEY')
  refuses(`${allowing(good)}__proto__: {}\n`, 'POLICY_UNKNOWN_KEY')
  const conditional = 'bindings: [{ role: r, match: { tier: tpm }, when: { weather: fine } }]\n'
  refuses(allowing(good).replace(bound, conditional), 'POLICY_UNKNOWN_KEY')
  const limitedDeny = `${head}roles:\n  r:\n    deny:\n      - { id: d, actions: [publish], topics: [t], retain: true }\n${bound}`
  refuses(limitedDeny, 'POLICY_UNKNOWN_KEY')
})

test('refuses values of the wrong kind or range', () => {
  for (const rule of [
    '{ actions: [publish], topics: [t] }',
    '{ id: "a/b", actions: [publish], topics: [t] }',
    '{ id: a, actions: [], topics: [t] }',
    '{ id: a, actions: [fly], topics: [t] }',
    '{ id: a, actions: publish, topics: [t] }',
    '{ id: a, actions: [publish], topics: [] }',
    '{ id: a, actions: [publish], topics: [1] }',
    '{ id: a, actions: [publish], topics: [t], qos: { max: 3 } }',
    '{ id: a, actions: [publish], topics: [t], qos: 1 }',
    '{ id: a, actions: [publish], topics: [t], retain: yes }',
    '{ id: a, actions: [publish], topics: [t], payload: { maxBytes: -1 } }',
    '{ id: a, actions: [publish], topics: [t], payload: { maxBytes: .inf } }',
    '{ id: a, actions: [publish], topics: [t], rate: { messages: 1, per: 1 day } }',
    '{ id: a, actions: [publish], topics: [t], rate: { messages: 0, per: 1s } }',
    '7',
    '',
  ]) {
    refuses(allowing(rule), 'POLICY_INVALID_VALUE')
  }
  for (const match of [
    '{}',
    '{ tier: [] }',
    '{ tier: gold }',
    '{ labels: { a: 1 } }',
    '{ labels: { a: "x/y" } }',
    '{ ids: ["+"] }',
  ]) {
    refuses(allowing(good).replace('{ tier: tpm }', match), 'POLICY_INVALID_VALUE')
  }
  refuses(allowing(good).replace('version: 1', 'version: 1.5'), 'POLICY_INVALID_VALUE')
  refuses(allowing(good).replace('touchmark/v1', 'touchmark/v2'), 'POLICY_INVALID_VALUE', '1:13')
  refuses(allowing(good).replace(bound, ''), 'POLICY_INVALID_VALUE')
})

test('refuses topics that are no filters, half variables and reserved trees', () => {
  for (const topic of [
    '',
    'a+',
    '#/a',
    'a/#/b',
    'a\\0',
    'a/x${device.id}',
    'a/${device.id}x',
    '${device.id}${device.id}',
    'a/${device.tier}',
    'a/${client.id}',
    'a/${device.labels.}',
    'a/${device.labels.x/y}',
    'a/${',
    '$SYS/#',
    '$touchmark/#',
    '$touchmark/services/a/b',
    '$share/g',
    '$share//a',
    '$share/+/a',
    '$share/g/$share/h/a',
    '$share/g/a', // nobody publishes to a group
    '/'.repeat(128),
    'x'.repeat(1025),
  ]) {
    refuses(allowing(`{ id: a, actions: [publish], topics: ["${topic}"] }`), 'POLICY_INVALID_TOPIC')
  }
})

test('refuses a role that may subscribe and never receive', () => {
  refuses(allowing('{ id: a, actions: [subscribe], topics: [t] }'), 'POLICY_NO_RECEIVE', '7:9')
})

test('refuses a constraint that constrains nothing', () => {
  refuses(allowing('{ id: a, actions: [receive], topics: [t], retain: true }'), 'POLICY_NO_EFFECT')
  refuses(allowing('{ id: a, actions: [receive], topics: [t], payload: { maxBytes: 1 } }'), 'POLICY_NO_EFFECT')
  refuses(allowing('{ id: a, actions: [will], topics: [t], rate: { messages: 1, per: 1s } }'), 'POLICY_NO_EFFECT')
  refuses(allowing('{ id: a, actions: [will], topics: [t], respond: { within: 1s } }'), 'POLICY_NO_EFFECT')
})

test('refuses a binding to a role that is not there', () => {
  refuses(allowing(good).replace('role: r', 'role: constructor'), 'POLICY_UNKNOWN_ROLE')
})

test('refuses a rule id twice in a role, also across allow and deny', () => {
  const deny = '    deny:\n      - { id: a, actions: [publish], topics: [t] }\n'
  refuses(allowing(good).replace(bound, deny + bound), 'POLICY_DUPLICATE', '9:15')
})

test('refuses more than the limits instead of cutting', () => {
  const rules = (count: number): string =>
    Array.from({ length: count }, (_, at) => `{ id: a${at}, actions: [publish], topics: [t] }`).join('\n      - ')
  assert.equal(parsePolicy(allowing(rules(64)), 'p.yaml').roles.get('r')?.allow.length, 64)
  refuses(allowing(rules(65)), 'POLICY_LIMIT')
  refuses(`${allowing(good)}#${' '.repeat(256 * 1024)}`, 'POLICY_LIMIT', '1:1')
})

test('refuses more roles than a device may have where every device of a tier would have them', () => {
  const many = (count: number, match: string) => {
    const names = Array.from({ length: count }, (_, at) => `r${at}`)
    const roles = names.map((name) => `  ${name}: { allow: [${good}] }\n`).join('')
    const bindings = names.map((name) => `  - { role: ${name}, match: { ${match} } }\n`).join('')
    return `${head}roles:\n${roles}bindings:\n${bindings}`
  }
  refuses(many(17, 'tier: [token, tpm]'), 'POLICY_LIMIT', '39:5')
  assert.equal(parsePolicy(many(16, 'tier: tpm'), 'p.yaml').bindings.length, 16)
  assert.equal(parsePolicy(many(17, 'tier: tpm, labels: { a: b }'), 'p.yaml').bindings.length, 17)
})

test('takes many keys in linear time', () => {
  refuses(Array.from({ length: 20_000 }, (_, at) => `k${at}: 1`).join('\n'), 'POLICY_UNKNOWN_KEY')
})

test('the hash follows the content and nothing else', () => {
  const hash = policyHash(parsePolicy(allowing(good), 'p.yaml'))
  const reordered = `# a comment\n${allowing('{ topics: [ \'t/${device.id}\' ], id: a, actions: ["publish"] }')}`
  assert.equal(policyHash(parsePolicy(reordered, 'other.yaml')), hash)
  assert.notEqual(policyHash(parsePolicy(allowing(good.replace('t/', 'u/')), 'p.yaml')), hash)
})
