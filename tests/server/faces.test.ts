import assert from 'node:assert/strict'
import test from 'node:test'
import { AuditError } from '#audit'
import { policySchema } from '#policy'
import { type DevicePage, type DeviceView, type Enforcement, type Problem, routes } from '#protocol'
import { type Answer, createWorld } from './world.js'

const ekHash = '12'.repeat(32)

test('the OpenAPI document has every route of the protocol', async (t) => {
  const world = await createWorld(t)
  const document = (await world.send({ method: 'GET', path: '/openapi.json' })).json() as {
    paths: Record<string, Record<string, unknown>>
  }
  for (const { method, path } of Object.values(routes)) {
    const documented = document.paths[path.replace(':id', '{id}')]
    assert.ok(documented && method.toLowerCase() in documented, `${method} ${path}`)
  }
})

test('registers a device, labels it, finds it by a query, and revokes it', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  const made = await world.call('registerDevice', operator, { body: { id: 'd1', ekHash, labels: { site: 'oslo' } } })
  assert.equal(made.status, 201)
  await world.call('registerDevice', operator, { body: { id: 'd2', ekHash: '34'.repeat(32) } })
  const labelled = await world.call('labelDevice', operator, { id: 'd1', body: { site: 'rome', kind: 'pump' } })
  assert.deepEqual((labelled.json() as DeviceView).labels, { site: 'rome', kind: 'pump' })
  assert.deepEqual(await idsOf(world.call('listDevices', operator, { query: '?q=label.site%3Drome' })), ['d1'])
  assert.deepEqual(await idsOf(world.call('listDevices', operator, { query: '?q=-label.site%3Drome' })), ['d2'])

  const revoked = await world.call('revokeDevice', operator, {
    id: 'd1',
    body: { reason: 'keyCompromise', comment: 'stolen' },
  })
  assert.deepEqual(revoked.json(), { device: 'd1', sessions: 1, purged: 2, recorded: true, outstanding: [] })
  assert.deepEqual(world.ended, ['d1'])
  const view = (await world.call('getDevice', operator, { id: 'd1' })).json() as DeviceView
  assert.deepEqual([view.state, view.revoked?.reason, view.revoked?.by], ['revoked', 'keyCompromise', 'ada'])
  const record = world.audit.records.find(({ event }) => event === 'device.revoke')
  assert.ok(record?.event === 'device.revoke' && record.operator === 'ada' && record.peer?.startsWith('127.0.0.1:'))
})

test('a policy may be asked about from an address, and its schema is served', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  const schema = await world.call('getPolicySchema', operator)
  assert.deepEqual([schema.status, schema.json()], [200, policySchema])
  const question = { as: { id: 'd1', tier: 'tpm' }, action: 'publish', topic: 'devices/d1/telemetry/x' }
  const ask = async (more: object) =>
    (await world.call('explainPolicy', operator, { body: { ...question, ...more } })).status
  assert.equal(await ask({ from: '2001:db8::1', at: '2027-01-01T00:00:00Z' }), 200)
  assert.equal(await ask({ from: 'somewhere' }), 400)
  assert.equal(await ask({ at: 'tomorrow' }), 400)
})

test('a revocation acts although the log cannot record it, and the answer says so', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  await world.device('d1')
  world.audit.fail()
  const answer = await world.call('revokeDevice', operator, { id: 'd1', body: { reason: 'unspecified' } })
  assert.deepEqual(answer.json(), { device: 'd1', sessions: 1, purged: 2, recorded: false, outstanding: [] })
  assert.deepEqual(world.ended, ['d1'])
})

test('each act that keeps a device out names the brokers at which it may not act yet', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  await world.device('d1')
  await world.device('d2')
  world.registry.locks.follow('far', () => undefined) // hears of it, and does not say that it acts
  const why = { reason: 'at night' }
  const acts = [
    ['addLock', { body: { target: { device: 'd1' }, ...why } }],
    ['addLock', { body: { target: { device: 'd1' }, mode: 'quarantine', ...why } }],
    ['addLock', { body: { target: { device: 'd2' }, mode: 'revoke', ...why } }],
    ['revokeDevice', { id: 'd1', body: { reason: 'keyCompromise' } }],
  ] as const
  for (const [name, options] of acts) {
    const answer = await world.call(name, operator, options)
    const { outstanding, recorded } = answer.json() as Enforcement
    assert.deepEqual([answer.status, outstanding, recorded], [202, ['far'], true], JSON.stringify(options))
  }
})

test('nothing else is done when the log takes nothing', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  world.audit.fail()
  await problem(world.call('registerDevice', operator, { body: { id: 'd1', ekHash } }), 503, 'AUDIT_CLOSED')
  await problem(world.call('searchAudit', operator), 503, 'AUDIT_CLOSED')
})

test('a token is shown once, listed without its secret, and revoked', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  const made = await world.call('createToken', operator, { body: { device: 'd1', uses: 2, ttlSeconds: 60 } })
  assert.equal(made.status, 201)
  assert.match(made.body, /tm1\.t1\.secret/)
  const listed = await world.call('listTokens', operator)
  assert.doesNotMatch(listed.body, /secret/)
  assert.match(listed.body, /"state":"usable"/)
  world.clock.now += 60_000
  assert.match((await world.call('listTokens', operator)).body, /"state":"expired"/)
  assert.match((await world.call('revokeToken', operator, { id: 't1' })).body, /"state":"revoked"/)
  await problem(world.call('revokeToken', operator, { id: 't9' }), 404, 'TOKEN_UNKNOWN')
})

test('says what is wrong with a request, by code', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  await world.device('d1')
  const call = world.call
  await problem(call('getDevice', operator, { id: 'nobody' }), 404, 'NOT_FOUND')
  await problem(call('getDevice', operator, { id: '%2e%2e' }), 400, 'REQUEST_INVALID')
  await problem(call('registerDevice', operator, { body: { id: 'd1', ekHash } }), 409, 'ID_TAKEN')
  await problem(call('registerDevice', operator, { body: { id: 'a/b', ekHash } }), 400, 'REQUEST_INVALID')
  await problem(call('registerDevice', operator, { body: { id: 'x', ekHash, role: 'x' } }), 400, 'REQUEST_INVALID')
  await problem(call('registerDevice', operator, { body: '{' }), 400, 'REQUEST_INVALID')
  await problem(call('registerDevice', operator, { body: '{"__proto__":{}}' }), 400, 'REQUEST_INVALID')
  await problem(call('registerDevice', operator, { body: 'x', type: 'image/png' }), 400, 'REQUEST_INVALID')
  await problem(call('labelDevice', operator, { id: 'd1', body: { site: '+' } }), 400, 'REQUEST_INVALID')
  await problem(call('revokeDevice', operator, { id: 'd1', body: { reason: 'because' } }), 400, 'REQUEST_INVALID')
  await problem(call('createToken', operator, { body: { ttlSeconds: '60' } }), 400, 'REQUEST_INVALID')
  await problem(call('createToken', operator, { body: { ttlSeconds: 8 * 86_400 } }), 400, 'REQUEST_INVALID')
  await problem(call('listDevices', operator, { query: '?q=is:__proto__' }), 400, 'QUERY_INVALID')
  await problem(call('searchAudit', operator, { query: '?limit=-1' }), 400, 'QUERY_INVALID')
  await problem(call('searchAudit', operator, { query: '?follow=true&order=newest' }), 400, 'QUERY_INVALID')
  await problem(call('searchAudit', operator, { query: '?device=d1&q=device%3Ad2' }), 400, 'QUERY_INVALID')
  await problem(call('searchAudit', operator, { query: '?divice=d1' }), 400, 'REQUEST_INVALID')
  await problem(call('searchAudit', operator, { query: '?topic=a%23' }), 400, 'QUERY_INVALID')
  await problem(world.send({ method: 'GET', path: '/v1/unknown' }), 404, 'ROUTE_UNKNOWN')
  await problem(world.send({ method: 'GET', path: '/../../etc/passwd' }), 404, 'ROUTE_UNKNOWN')
})

test('a fault of our own is told to the log and not to the caller', async (t) => {
  const world = await createWorld(t)
  const answer = await problem(world.call('status', await world.operator()), 500, 'INTERNAL')
  assert.doesNotMatch(answer.body, /fault of our own/)
})

test('refuses a body that is larger than its route takes', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  const large = JSON.stringify({ id: 'd1', ekHash, labels: { site: 'x'.repeat(20_000) } })
  await problem(world.call('registerDevice', operator, { body: large }), 413, 'REQUEST_TOO_LARGE')
  await problem(world.call('joinTpm', undefined, { body: `"${'x'.repeat(256 * 1024)}"` }), 413, 'REQUEST_TOO_LARGE')
  const policy = `# ${'x'.repeat(300_000)}`
  await problem(
    world.call('applyPolicy', operator, { body: policy, type: 'application/yaml' }),
    413,
    'REQUEST_TOO_LARGE',
  )
})

test('a join that cannot even be read is written down, and only once', async (t) => {
  const world = await createWorld(t)
  await problem(world.call('joinTpm', undefined, { body: `"${'x'.repeat(256 * 1024)}"` }), 413, 'REQUEST_TOO_LARGE')
  await problem(world.call('joinToken', undefined, { body: '{' }), 400, 'REQUEST_INVALID')
  await problem(world.call('joinToken', undefined, { body: { csr: 'AAAA' } }), 401, 'TOKEN_REQUIRED')
  await problem(world.call('renew', undefined, { body: {} }), 401, 'DEVICE_CERTIFICATE_REQUIRED')
  assert.deepEqual(world.turnedAway, [
    'tpm REQUEST_TOO_LARGE',
    'token REQUEST_INVALID',
    'token TOKEN_REQUIRED',
    'renew DEVICE_CERTIFICATE_REQUIRED',
  ])
})

test('strangers may ask to join, with what the protocol’s decoders accept', async (t) => {
  const world = await createWorld(t)
  const csr = 'AAAA'
  await problem(world.call('joinToken', undefined, { body: { csr } }), 401, 'TOKEN_REQUIRED')
  const headers = { authorization: 'Bearer tm1.a.b' }
  await problem(world.call('joinToken', undefined, { body: { csr: '+' }, headers }), 400, 'INVALID_MESSAGE')
  await problem(world.call('joinTpm', undefined, { body: {} }), 400, 'INVALID_MESSAGE')
  await problem(world.call('joinTpmActivate', undefined, { body: [] }), 400, 'INVALID_MESSAGE')
  await problem(world.call('renew', undefined, { body: { csr } }), 401, 'DEVICE_CERTIFICATE_REQUIRED')
  assert.equal((await world.call('joinNonce', undefined)).status, 200)
  await world.call('joinToken', undefined, { body: { csr }, headers })
  assert.deepEqual(
    world.channels.map(({ exporter }) => exporter?.length),
    [32],
  )
})

test('a search of the log answers a record a line, and is itself on record', async (t) => {
  const world = await createWorld(t)
  const answer = await world.call('searchAudit', await world.operator(), { query: '?event=token.create&limit=3' })
  assert.equal(answer.headers['content-type'], 'application/x-ndjson')
  const lines = answer.body.trimEnd().split('\n')
  const events = lines.map((line) => (JSON.parse(line) as { event: string }).event)
  assert.deepEqual(events, ['policy.activate', 'operator.issue', 'audit.read'])
  const read = world.audit.records.at(-1)
  assert.ok(read?.event === 'audit.read' && read.operator === 'ada' && read.query === 'event:token.create limit:3')
})

test('an answer that breaks off midway ends with a line that says why', async (t) => {
  const record = '{"sequence":7}\n'
  const causes = [
    [new AuditError('AUDIT_CORRUPT', 'record 6 is damaged'), 500, 'AUDIT_CORRUPT', 'record 6 is damaged'],
    [new AuditError('AUDIT_GONE', 'record 6 is gone'), 410, 'AUDIT_GONE', 'record 6 is gone'],
    [new TypeError('a fault of our own'), 500, 'INTERNAL', 'something went wrong here; the log says what'],
  ] as const
  for (const [cause, status, code, detail] of causes) {
    const { call, operator } = await createWorld(t, {
      async *searchAudit() {
        yield record
        throw cause
      },
    })
    for (const query of ['', '?follow=true']) {
      const answer = await call('searchAudit', await operator(), { query })
      const [first, last, ...rest] = answer.body.split('\n')
      assert.deepEqual([answer.status, `${first}\n`, rest], [200, record, ['']])
      const { problem } = JSON.parse(last ?? '') as { readonly problem: Problem }
      assert.deepEqual([problem.status, problem.code, problem.detail], [status, code, detail])
    }
  }
})

async function problem(pending: Promise<Answer>, status: number, code: string): Promise<Answer> {
  const answer = await pending
  const { code: came } = answer.json() as { code: string }
  assert.deepEqual([answer.status, came], [status, code])
  assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json/)
  return answer
}

async function idsOf(pending: Promise<Answer>): Promise<readonly string[]> {
  return ((await pending).json() as DevicePage).devices.map(({ id }) => id)
}
