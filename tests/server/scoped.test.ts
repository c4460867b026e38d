import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import {
  type DeviceId,
  parseDeviceId,
  parseFingerprint,
  parseLockId,
  parseProfileName,
  parseTokenId,
  type Problem,
  type Route,
  type RouteName,
  routes,
  type SessionView,
} from '#protocol'
import { policyFor, policyWith } from './policies.js'
import { by, type CallOptions, createWorld } from './world.js'

const why = { reason: 'at night' }

test('an operator of one site sees its devices, sessions, tokens and locks, and no others', async (t) => {
  const { ask } = await openWorld(t, ['*'])
  assert.deepEqual(await ask('listDevices', 'id'), ['oslo-1', 'oslo-2'])
  assert.deepEqual(await ask('listSessions', 'clientId'), ['oslo-1'])
  assert.deepEqual(await ask('listTokens', 'id'), ['t-oslo'])
  assert.deepEqual(await ask('listLocks', 'id'), ['lock-labels', 'lock-oslo'])
})

test('case 64: an operator of one site asks for devices of others: denied, whether there are any or not, and on record', async (t) => {
  const { world, bob, denied } = await openWorld(t, ['*'])
  const asked: readonly (readonly [RouteName, CallOptions])[] = [
    ['getDevice', { id: 'rome-1' }],
    ['getDevice', { id: 'nobody' }],
    ['searchAudit', { query: '?device=rome-1' }],
    ['searchAudit', { query: '?q=device:rome-1&follow=true' }],
    ['auditProof', { id: String(world.audit.records.findIndex((one) => 'device' in one && one.device === 'rome-1')) }],
    ['auditProof', { id: '0' }],
    ['disclosePayload', { id: '0' }],
    ['getPayload', { id: '99999' }],
    ['labelDevice', { id: 'rome-1', body: { site: 'oslo' } }],
    ['revokeDevice', { id: 'rome-1', body: { reason: 'superseded' } }],
    ['kickSession', { id: 'rome-1', body: {} }],
    ['kickSession', { id: 'nobody~x', body: {} }],
    ['erasePayloads', { body: { day: '2026-02-28', device: 'rome-1', comment: 'x' } }],
    ['erasePayloads', { body: { day: '2026-02-28', comment: 'x' } }],
    ['revokeToken', { id: 't-rome' }],
    ['removeLock', { id: 'lock-rome' }],
  ]
  for (const [name, options] of asked) await denied(name, options)
  const found = await world.call('searchAudit', bob)
  const devices = new Set(
    found.body
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { device?: string }).device),
  )
  assert.deepEqual([...devices].toSorted(), ['oslo-1', 'oslo-2'])
  world.refusals.flush()
  const recorded = world.refusalsOnRecord().filter(({ operator }) => operator === 'bob')
  assert.ok(recorded.some(({ act, device }) => act === 'devices.read' && device === 'rome-1'))
  assert.equal(
    recorded.reduce((sum, { count }) => sum + count, 0),
    asked.length,
  )
  const reads = world.audit.records.filter(({ event }) => event === 'audit.read')
  assert.equal(reads.length, 1, 'what was denied was not read')
})

test('an operator of one site makes nothing that reaches beyond it', async (t) => {
  const { world, bob, denied } = await openWorld(t, ['*'])
  const ekHash = '12'.repeat(32)
  await denied('registerDevice', { body: { id: 'd9', ekHash } })
  await denied('registerDevice', { body: { id: 'd9', ekHash, labels: { site: 'rome' } } })
  await denied('labelDevice', { id: 'oslo-1', body: { site: 'rome' } })
  await denied('labelDevice', { id: 'oslo-1', body: {} })
  await denied('createToken', { body: {} })
  await denied('createToken', { body: { labels: { site: 'rome' } } })
  await denied('createToken', { body: { labels: { site: 'oslo' }, device: 'rome-1' } })
  const beyond = [
    { device: 'rome-1' },
    { device: 'nobody' },
    { labels: { line: '4' } },
    { labels: { site: 'rome' } },
    { role: 'device' },
    { profile: 'default' },
    { token: 't-rome' },
    { token: 'nothing' },
    { instance: 'nothing' },
    { ek: ekHash },
    { addresses: '192.0.2.0/24' },
  ]
  for (const target of beyond) {
    await denied('addLock', { body: { target, ...why } })
    await denied('addLock', { body: { target, ...why, dryRun: true } })
  }
  assert.deepEqual(world.ended, [])
  const within = [{ device: 'oslo-1' }, { labels: { site: 'oslo', line: '4' } }, { token: 't-oslo' }]
  for (const target of within)
    assert.equal((await world.call('addLock', bob, { body: { target, ...why } })).status, 201)
  assert.equal((await world.call('labelDevice', bob, { id: 'oslo-2', body: { site: 'oslo', line: '5' } })).status, 200)
})

test('case 104: a role that is too low for mass locks locks a few devices and not many, nor whom nobody can count', async (t) => {
  const { world, bob, denied } = await openWorld(t, ['locks.*', 'tokens.create'], { maxDevices: 1 })
  await denied('addLock', { body: { target: { labels: { site: 'oslo' } }, ...why } })
  await denied('addLock', { body: { target: { addresses: '192.0.2.1' }, ...why } })
  await denied('addLock', { body: { target: { profile: 'default' }, ...why } })
  await denied('removeLock', { id: 'lock-labels' })
  await denied('createToken', { body: { uses: 2 } })
  assert.equal((await world.call('addLock', bob, { body: { target: { device: 'rome-2' }, ...why } })).status, 201)
  assert.equal((await world.call('createToken', bob, { body: { uses: 1 } })).status, 201)
  assert.deepEqual(world.ended, ['rome-2'])
})

test('what is refused about a record does not say of which device it is', async (t) => {
  const { world, bob } = await openWorld(t, ['*'])
  const answers = new Set<string>()
  for (const name of ['auditProof', 'getPayload', 'disclosePayload'] as const) {
    for (const sequence of [...world.audit.records.keys(), 99_999]) {
      const answer = await world.call(name, bob, { id: String(sequence) })
      if (answer.status === 403) answers.add((answer.json() as Problem).detail?.replace(/audit\.\w+/, '') ?? '')
    }
  }
  assert.deepEqual([...answers], ['the policy does not let bob do  on what this record is about'])
})

test('to revoke by a lock takes the right to revoke those devices', async (t) => {
  const { world, bob, denied, apply } = await openWorld(t, ['locks.*'], {})
  const target = { device: 'oslo-2' }
  const body = { target, mode: 'revoke', ...why }
  await denied('addLock', { body })
  await denied('addLock', { body: { ...body, dryRun: true } })
  await apply(['locks.add', 'devices.revoke'], { labels: { site: 'oslo' } })
  await denied('addLock', { body: { ...body, target: { device: 'rome-2' } } })
  assert.deepEqual(world.ended, [])
  assert.equal((await world.call('addLock', bob, { body })).status, 201)
  assert.deepEqual(world.ended, ['oslo-2'])
})

test('nobody takes a device out from under a lock by other labels who may not remove that lock', async (t) => {
  const { world, bob, apply } = await openWorld(t, ['devices.label'], {})
  const relabel = async (line: string) => {
    const answer = await world.call('labelDevice', bob, { id: 'oslo-2', body: { site: 'oslo', line } })
    return [answer.status, (answer.json() as Partial<Problem>).code, (answer.json() as Partial<Problem>).detail]
  }
  const away = () => world.call('labelDevice', bob, { id: 'oslo-2', body: { site: 'rome', line: '4' } })
  assert.deepEqual(await relabel('5'), [200, undefined, undefined], 'the lock is on the site')
  const refused = await away()
  const { code, detail } = refused.json() as Problem
  assert.deepEqual([refused.status, code], [403, 'LABELS_LOCKED'])
  assert.ok(detail?.includes('lock-labels'))
  assert.ok(world.registry.locks.keepsOut(parseDeviceId('oslo-2')))
  const { reason, act, device } = world.refusalsOnRecord().at(-1) ?? {}
  assert.deepEqual([reason, act, device], ['act_not_allowed', 'locks.remove', 'oslo-2'])
  await apply(['devices.label', 'locks.remove'], {})
  assert.equal((await away()).status, 200)
  assert.ok(!world.registry.locks.keepsOut(parseDeviceId('oslo-2')))
})

test('a route that does not ask about labels is closed to who may act on some devices only', async (t) => {
  const { denied } = await openWorld(t, ['*'])
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) {
    if ('act' in route && route.act !== 'own' && !('scoped' in route))
      await denied(name, { id: 'oslo-1', body: /^P/.test(route.method) ? {} : undefined })
  }
})

test('who asks the policy about a device that is not his learns what he would of one that is not known', async (t) => {
  const { world, bob } = await openWorld(t, ['*'])
  const ada = await world.operator()
  const rules = [
    { id: 'all', acts: ['policy.read'] },
    { id: 'oslo', acts: ['devices.read'], labels: { site: 'oslo' } },
  ]
  const body = policyWith(rules, world.policy.view.version + 1)
  assert.equal((await world.call('applyPolicy', ada, { body, type: 'application/yaml' })).status, 200)
  for (const [id, site] of [
    ['oslo-2', 'oslo'],
    ['rome-2', 'rome'],
  ] as const) {
    await world.registry.labelDevice(parseDeviceId(id), { site, role: 'gateway' }, by)
  }
  const ask = async (who: typeof bob, as: object) => {
    const answer = await world.call('explainPolicy', who, {
      body: { as, action: 'publish', topic: 'devices/d7/cmd/x' },
    })
    return { status: answer.status, body: answer.body }
  }
  const like = (id: string, { body, status }: { body: string; status: number }) => [status, body.replaceAll(id, 'ID')]

  assert.match((await ask(bob, { id: 'oslo-2' })).body, /"effect":"allow"/)
  assert.match((await ask(ada, { id: 'rome-2' })).body, /"effect":"allow"/)
  const [others, nobodys] = [await ask(bob, { id: 'rome-2' }), await ask(bob, { id: 'nobody' })]
  assert.deepEqual([others.status, (JSON.parse(others.body) as Problem).code], [404, 'NOT_FOUND'])
  assert.deepEqual(like('rome-2', others), like('nobody', nobodys))
  for (const attributes of [{ tier: 'token' }, { tier: 'tpm', labels: { role: 'gateway' } }]) {
    const [of, to] = [await ask(bob, { id: 'rome-2', ...attributes }), await ask(bob, { id: 'nobody', ...attributes })]
    assert.equal(of.status, 200)
    assert.deepEqual(like('rome-2', of), like('nobody', to))
  }
})

test('who tries to give a name that another device has learns that it is taken, and each try is on record', async (t) => {
  const { world, bob, denied } = await openWorld(t, ['*'])
  const ekHash = '34'.repeat(32)
  const labels = { site: 'oslo' }
  await denied('registerDevice', { body: { id: 'rome-1', ekHash, labels } })
  await denied('createToken', { body: { device: 'rome-2', labels } })
  const own = await world.call('registerDevice', bob, { body: { id: 'oslo-1', ekHash, labels } })
  assert.deepEqual([own.status, (own.json() as Problem).code], [409, 'ID_TAKEN'])
  assert.equal((await world.call('createToken', bob, { body: { device: 'oslo-3', labels } })).status, 201)
  world.refusals.flush()
  const tried = world.refusalsOnRecord().map(({ operator, act, device }) => [operator, act, device])
  assert.deepEqual(tried, [
    ['bob', 'devices.register', 'rome-1'],
    ['bob', 'tokens.create', 'rome-2'],
  ])
})

/** Two devices in Oslo and one in Rome, with a session, a token and a lock for each site; bob may do something in Oslo. */
async function openWorld(t: TestContext, acts: readonly string[], limits: object = { labels: { site: 'oslo' } }) {
  const world = await createWorld(t)
  const { registry, clock } = world
  const [ada, bob] = [await world.operator(), await world.operator('bob')]
  for (const id of ['oslo-1', 'oslo-2', 'rome-1', 'rome-2']) {
    await registry.labelDevice(await world.device(id), { site: siteOf(id), line: '4' }, by)
  }
  for (const site of ['oslo', 'rome']) {
    const terms = { secretHash: parseFingerprint('ab'.repeat(32)), profile: parseProfileName('default'), uses: 1 }
    const token = { token: parseTokenId(`t-${site}`), labels: { site }, notAfter: clock.now + 60_000, ...terms }
    await registry.createToken(token, by)
    const device = parseDeviceId(`${site}-1`)
    registry.addLock({ lock: parseLockId(`lock-${site}`), target: { device }, mode: 'lock', reason: 'x' }, by)
    world.sessions.push(sessionOf(device))
  }
  const labels = { site: 'oslo' }
  registry.addLock({ lock: parseLockId('lock-labels'), target: { labels }, mode: 'lock', reason: 'x' }, by)
  async function apply(acts: readonly string[], limits: object): Promise<void> {
    const body = policyFor(acts, limits, world.policy.view.version + 1)
    const applied = await world.call('applyPolicy', ada, { body, type: 'application/yaml' })
    assert.equal(applied.status, 200, applied.body)
  }
  await apply(acts, limits)
  world.ended.length = 0
  return {
    ...{ world, bob, apply },
    /** One field of all that bob is shown. */
    async ask(name: RouteName, field: string): Promise<readonly unknown[]> {
      const answer = (await world.call(name, bob)).json() as Listed | { readonly devices: Listed }
      return ('devices' in answer ? answer.devices : answer).map((one) => one[field]).toSorted()
    },
    async denied(name: RouteName, options: CallOptions): Promise<void> {
      const answer = await world.call(name, bob, options)
      const what = `${name} ${JSON.stringify(options)} ${answer.body}`
      assert.deepEqual([answer.status, (answer.json() as Problem).code], [403, 'ACT_NOT_ALLOWED'], what)
    },
  }
}

type Listed = readonly Readonly<Record<string, unknown>>[]

function siteOf(id: string): string {
  return id.replace(/-.*/, '')
}

function sessionOf(device: DeviceId): SessionView {
  const traffic = { in: 0, out: 0 }
  return {
    ...{ session: '5e55105e55105e551001', device, clientId: device, connected: true, subscriptions: [] },
    ...{ since: '2026-03-01T12:00:00.000Z', peer: '192.0.2.1:1', queued: 0, queuedBytes: 0 },
    ...{ rates: traffic, messages: traffic, bytes: traffic },
  }
}
