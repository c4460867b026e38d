import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import test, { type TestContext } from 'node:test'
import { type AuditEventName, parseDeviceId, parseLockId, type RouteName, routes } from '#protocol'
import { fingerprintOf } from '#x509'
import { hash, joinByToken, profile } from '../registry/world.js'
import { joined, quoted } from './attested-device.js'
import { policyFor } from './policies.js'
import { by, type CallOptions, createWorld } from './world.js'

interface Tried {
  readonly event: AuditEventName
  /** Where the reason belongs. */
  readonly said: 'body' | 'query'
  /** What it is called there. Default: comment */
  readonly as?: 'comment' | 'reason'
  readonly id?: string
  readonly body?: object | string
}

/** Chips that wait to be let in. */
const unknown = [hash('a chip to approve'), hash('a chip to deny')] as const

/** These say why, or nothing happens. */
const needReason: readonly RouteName[] = ['erasePayloads', 'addLock', 'approveJoin', 'denyJoin']

/** What an operator can do, in an order in which each finds what it needs. */
const acts: ReadonlyMap<RouteName, Tried> = new Map<RouteName, Tried>([
  ['registerDevice', { event: 'device.register', said: 'body', body: { id: 'd1', ekHash: '12'.repeat(32) } }],
  ['labelDevice', { event: 'device.label', said: 'query', id: 'd1', body: { comment: 'a-label-like-any-other' } }],
  ['createToken', { event: 'token.create', said: 'body', body: { device: 'd2' } }],
  ['revokeToken', { event: 'token.revoke', said: 'query', id: 't1' }],
  ['applyPolicy', { event: 'policy.activate', said: 'query', body: policyFor(['status.read']) }],
  ['inviteOperator', { event: 'operator.invite', said: 'body', body: { operator: 'bob' } }],
  ['revokeOperator', { event: 'operator.revoke', said: 'body', id: 'bob', body: {} }],
  ['kickSession', { event: 'session.kick', said: 'body', id: 'd1~pub', body: {} }],
  ['rollbackPolicy', { event: 'policy.activate', said: 'body', body: {} }],
  ['rotateAuditKey', { event: 'log.key_rotate', said: 'body', body: {} }],
  ['takeBackup', { event: 'backup.take', said: 'body', body: {} }],
  ['erasePayloads', { event: 'payload.erase', said: 'body', body: { day: '2026-02-28' } }],
  [
    'addLock',
    { event: 'lock.add', said: 'body', as: 'reason', body: { target: { addresses: '192.0.2.0/24' }, ttlSeconds: 60 } },
  ],
  ['removeLock', { event: 'lock.remove', said: 'query', id: 'lock-0' }],
  [
    'applyPcrPolicy',
    {
      event: 'pcr_policy.apply',
      said: 'query',
      body: 'name: p\nmode: observe\nprofiles: [default]\npcrs: { 0: [] }\n',
    },
  ],
  ['learnPcrs', { event: 'pcr_policy.apply', said: 'body', body: { device: 'd0' } }],
  ['removePcrPolicy', { event: 'pcr_policy.remove', said: 'query', id: 'p' }],
  [
    'importDevices',
    {
      event: 'device.register',
      said: 'body',
      body: { devices: [{ id: 'd3', anchor: { kind: 'ek', hash: '34'.repeat(32) } }] },
    },
  ],
  ['approveJoin', { event: 'device.register', said: 'body', as: 'reason', id: unknown[0], body: { device: 'd4' } }],
  ['denyJoin', { event: 'join.deny', said: 'body', as: 'reason', id: unknown[1], body: {} }],
  ['rotateDevices', { event: 'device.rotate', said: 'body', body: { target: { device: 'd7' } } }],
  ['revokeDevice', { event: 'device.revoke', said: 'body', id: 'd1', body: { reason: 'superseded' } }],
])

test('each act of an operator leaves a record of who, with which certificate, what, from where and why', async (t) => {
  const { perform, ada } = await openWorld(t)
  const shown = fingerprintOf(new X509Certificate(ada.cert).raw)
  const why = 'ticket 4711: "=1+1" & more\n\u001b[2J'
  for (const [name, act] of acts) {
    const { status, record } = await perform(name, act, why)
    assert.ok(status < 300, name)
    assert.ok(record && 'operator' in record && 'peer' in record && 'comment' in record, name)
    assert.deepEqual([record.operator, record.fingerprint, record.comment], ['ada', shown, why], name)
    assert.match(record.peer ?? '', /^127\.0\.0\.1:\d+$/, name)
  }
})

test('an act needs no reason, but where keys are destroyed, somebody is kept out or a stranger is judged', async (t) => {
  const { perform } = await openWorld(t)
  for (const [name, act] of acts) {
    const { status, record } = await perform(name, act)
    if (needReason.includes(name)) assert.equal(status, 400, name)
    else assert.ok(status < 300 && record && !('comment' in record), name)
  }
})

test('a reason has at most 512 characters, of any script and wherever it stands; a longer one is no act', async (t) => {
  const { perform, audit } = await openWorld(t)
  for (const [name, act] of acts) {
    const before = audit.records.length
    const tooLong = await perform(name, act, '\u{1f525}'.repeat(513))
    assert.deepEqual([tooLong.status, audit.records.length], [400, before], name)
    const longest = '\u{1f525}'.repeat(512)
    const { record } = await perform(name, act, longest)
    assert.equal(record && 'comment' in record && record.comment, longest, name)
  }
})

test('whatever operators can change is tried here', () => {
  const own = ['renewOperator']
  const asksOnly = ['diffPolicy', 'explainPolicy', 'shadowPolicy']
  const changing = Object.entries(routes).flatMap(([name, route]) => {
    return route.method === 'GET' || 'open' in route ? [] : [name] // what is open is for machines and strangers
  })
  const expected = changing.filter((name) => !own.includes(name) && !asksOnly.includes(name))
  assert.deepEqual([...acts.keys()].map(String).toSorted(), expected.toSorted())
})

test('the OpenAPI document says of each act where its reason belongs', async (t) => {
  const { send } = await createWorld(t)
  const { paths } = (await send({ method: 'GET', path: '/openapi.json' })).json() as OpenApi
  for (const [name, { said, as = 'comment' }] of acts) {
    const { method, path } = routes[name]
    const operation = paths[path.replace(':id', '{id}')]?.[method.toLowerCase()]
    const inBody = operation?.requestBody?.content['application/json']?.schema.properties?.[as]
    const inQuery = operation?.parameters?.find((one) => one.in === 'query' && one.name === as)?.schema
    assert.equal((said === 'body' ? inBody : inQuery)?.maxLength, 512, name)
  }
})

test('of a policy that is refused both are on record: what is wrong with it, and the reason it was given with', async (t) => {
  const { audit, perform } = await openWorld(t)
  const nonsense: Tried = { event: 'policy.refuse', said: 'query', body: 'nonsense' }
  assert.equal((await perform('applyPolicy', nonsense, 'ticket 4711')).status, 422)
  const record = audit.records.findLast((record) => record.event === 'policy.refuse')
  assert.deepEqual([record?.operator, record?.comment], ['ada', 'ticket 4711'])
  assert.match(record?.problem ?? '', /^policy\.yaml:1:1: expected /)
})

interface Text {
  readonly maxLength?: number
}

/** As much of the document as is looked at. */
interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

interface Operation {
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly schema: Text }[]
  readonly requestBody?: {
    readonly content: Readonly<
      Record<string, { readonly schema: { readonly properties?: Readonly<Record<string, Text>> } }>
    >
  }
}

/** With a session to end. */
async function openWorld(t: TestContext) {
  const world = await createWorld(t)
  const ada = await world.operator()
  await joinByToken(world, 'key', 'd7')
  const target = { device: parseDeviceId('d9') }
  world.registry.addLock({ lock: parseLockId('lock-0'), target, mode: 'lock', reason: 'to remove' }, by)
  const device = await joined(world.registry, 'd0')
  await quoted(world.registry, device)
  for (const one of unknown) {
    const shown = { profile, tier: 'tpm', spkiHash: hash('a key'), peer: '192.0.2.7:4000', reason: 'unknown' } as const
    await world.approvals.ask({ ...shown, anchor: { kind: 'ek', hash: one } }, 'tpm')
  }
  const traffic = { in: 0, out: 0 }
  world.sessions.push({
    ...{
      session: '5e55105e55105e551001',
      device,
      clientId: 'd1~pub',
      connected: true,
      subscriptions: [],
    },
    ...{ since: '2026-03-01T12:00:00.000Z', peer: '192.0.2.1:1', queued: 0, queuedBytes: 0 },
    ...{ rates: traffic, messages: traffic, bytes: traffic },
  })
  return {
    ...{ audit: world.audit, ada },
    /** The answer, and the newest record of its kind. */
    async perform(name: RouteName, act: Tried, why?: string) {
      const { status } = await world.call(name, ada, saying(act, why))
      return { status, record: world.audit.records.findLast(({ event }) => event === act.event) }
    },
  }
}

function saying({ said, as = 'comment', id, body }: Tried, why: string | undefined): CallOptions {
  const type = typeof body === 'string' ? 'application/yaml' : 'application/json'
  const inBody = said === 'body' && why !== undefined && typeof body === 'object'
  return {
    ...(id !== undefined && { id }),
    ...(body !== undefined && { type, body: inBody ? { ...body, [as]: why } : body }),
    ...(said === 'query' && why !== undefined && { query: `?comment=${encodeURIComponent(why)}` }),
  }
}
