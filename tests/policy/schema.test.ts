import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { Compile } from 'typebox/schema'
import { defaultPolicy, parsePolicy, PolicyError, policySchema } from '#policy'
import { seeded } from '../seeded.js'

const schema = Compile(policySchema)

/** Everything that a policy can say. */
const rich = {
  apiVersion: 'touchmark/v1',
  kind: 'TopicPolicy',
  metadata: { name: 'rich', version: 7 },
  onDenyPublish: 'drop',
  onOverlap: 'reject',
  roles: {
    'a-1': {
      sessions: { max: 3 },
      allow: [
        {
          id: 'p',
          actions: ['publish', 'will'],
          topics: ['f/${device.labels.site}/${device.id}/#'],
          qos: { max: 1 },
          retain: true,
          payload: { maxBytes: 10 },
          rate: { messages: 50, per: '1s', burst: 200 },
          respond: { within: '30s' },
        },
        { id: 's', actions: ['subscribe', 'receive'], topics: ['a/+/b', '$SYS/broker/#', '$share/g/a/#'] },
      ],
      deny: [{ id: 'n', actions: ['publish'], topics: ['f/+/+/firmware/#'] }],
      discover: [
        { id: 'v', labels: { site: '${device.labels.site}', kind: 'plc' }, services: ['opc*', 'm'], protocols: 'tcp' },
        { id: 'w', services: '*' },
      ],
    },
    empty: {},
  },
  bindings: [
    { role: 'a-1', match: { tier: ['tpm', 'token'], labels: { kind: 'sensor' }, ids: ['d1'] } },
    {
      role: 'a-1',
      match: { tier: 'tpm' },
      when: {
        cidr: ['10.0.0.0/8', '2001:db8::/32'],
        notBefore: '2026-01-01T00:00:00Z',
        notAfter: '2027-01-01T00:00:00.5+01:00',
      },
    },
    { role: 'empty', match: { ids: 'd2' }, when: { cidr: '::1' } },
  ],
  operators: {
    roles: {
      fleet: {
        allow: [
          { id: 'look', acts: ['devices.read', 'sessions.*'], labels: { site: 'oslo' } },
          { id: 'lock', acts: ['locks.*'], labels: { site: 'oslo', kind: 'pump' }, maxDevices: 50 },
        ],
      },
      all: { allow: [{ id: 'all', acts: ['*'] }] },
    },
    bindings: [
      { role: 'fleet', operators: ['ada', 'bob'] },
      { role: 'all', operators: 'eve' },
    ],
  },
  tests: [
    {
      as: { id: 'd1', tier: 'tpm', labels: { site: 'x' } },
      publish: 'a/b',
      qos: 2,
      retain: false,
      size: 3,
      expect: 'deny',
      reason: 'no_rule',
    },
    {
      as: { id: 'd1', tier: 'tpm' },
      from: '10.1.2.3',
      at: '2026-06-01T00:00:00Z',
      subscribe: '#',
      expect: 'allow',
      by: 'a-1/s',
    },
  ],
}

test('what a first run writes, and a policy that says everything, is as the schema has it', () => {
  for (const content of [parsePolicy(defaultPolicy, 'policy.yaml').content, rich]) {
    assert.deepEqual(schema.Errors(content)[1], [])
  }
  assert.equal(parsePolicy(JSON.stringify(rich), 'rich.json').version, 7)
  assert.match(defaultPolicy, /^# yaml-language-server: \$schema=policy\.schema\.json$/m)
})

test('what the parser accepts the schema accepts too: random changes to a policy that says everything', () => {
  const random = seeded(20_261_124)
  const counts = { accepted: 0, refused: 0, refusedByBoth: 0 }
  for (let round = 0; round < 6000; round++) {
    const content: unknown = structuredClone(rich)
    for (let change = random(2); change >= 0; change--) mutate(content, random)
    const source = JSON.stringify(content)
    const isValid = schema.Check(content)
    const problem = refusal(source)
    if (problem === undefined) {
      assert.ok(isValid, `the schema refuses what the parser accepts: ${source}`)
      counts.accepted++
    } else {
      counts.refused++
      if (!isValid) counts.refusedByBoth++
    }
  }
  assert.ok(counts.accepted > 500, JSON.stringify(counts))
  assert.ok(counts.refusedByBoth > 0.8 * counts.refused, JSON.stringify(counts))
})

test('the schema in the package is the one of the code', () => {
  const published = readFileSync('schemas/policy.schema.json', 'utf8')
  assert.equal(published, `${JSON.stringify(policySchema, undefined, 2)}\n`, 'npm run schema writes it anew')
})

function refusal(source: string): string | undefined {
  try {
    parsePolicy(source, 'p.json')
    return undefined
  } catch (error) {
    assert.ok(error instanceof PolicyError, String(error))
    return error.code
  }
}

type Random = (below: number) => number

/** Takes something away, adds something or replaces it, somewhere. */
function mutate(value: unknown, random: Random): void {
  if (typeof value !== 'object' || value === null) return
  const keys = Object.keys(value)
  const key = keys[random(keys.length)]
  if (key === undefined) return
  const inner: unknown = Reflect.get(value, key)
  if (typeof inner === 'object' && inner !== null && random(4) > 0) return mutate(inner, random)
  switch (random(4)) {
    case 0:
      if (Array.isArray(value)) value.splice(Number(key), 1)
      else Reflect.deleteProperty(value, key)
      return
    case 1:
      Reflect.set(value, pick(keysSeen, random), pick(values, random))
      return
    case 2:
      if (Array.isArray(value)) value.push(structuredClone(inner))
      else Reflect.set(value, pick(keysSeen, random), structuredClone(inner))
      return
    default:
      Reflect.set(
        value,
        key,
        typeof inner === 'object' || random(3) === 0 ? pick(values, random) : nearby(inner, random),
      )
  }
}

const keysSeen = [
  'id',
  'qos',
  'max',
  'retain',
  'rate',
  'per',
  'payload',
  'when',
  'cidr',
  'notAfter',
  'labels',
  'tier',
  'b',
  'x y',
  'from',
]

const values = [
  null,
  true,
  false,
  0,
  1,
  2,
  3,
  -1,
  1.5,
  65,
  2 ** 53,
  '',
  'a',
  'b',
  '..',
  'x/y',
  '#',
  'tpm',
  'publish',
  'receive',
  '1s',
  '5m',
  '10.0.0.0/8',
  '10.0.0.1/8',
  '::/0',
  '2027-01-01T00:00:00Z',
  '2027-13-01T00:00:00Z',
  [],
  {},
  ['a'],
  ['publish'],
  { max: 1 },
  { tier: 'token' },
]

function nearby(value: unknown, random: Random): unknown {
  if (typeof value === 'number') return value + random(5) - 2
  if (typeof value === 'boolean') return !value
  const text = String(value)
  const at = random(text.length + 1)
  return (
    text.slice(0, at) + pick(['', 'x', '/', '+', '#', ':', '0', ' ', '.', '$'], random) + text.slice(at + random(2))
  )
}

function pick<T>(from: readonly T[], random: Random): T {
  const [first] = from.slice(random(from.length))
  assert.ok(first !== undefined)
  return first
}
