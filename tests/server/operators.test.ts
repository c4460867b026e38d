import assert from 'node:assert/strict'
import test from 'node:test'
import { type RouteName, routes } from '#protocol'
import { makeIssuing, makeRoot } from '../x509/world.js'
import { type Answer, createLeaf, createWorld } from './world.js'

const operatorRoutes = (Object.keys(routes) as RouteName[]).filter((name) => !('open' in routes[name]))

test('every operators’ route turns a stranger away before it reads the request, and the log has it', async (t) => {
  const world = await createWorld(t)
  for (const name of operatorRoutes) {
    const answer = await world.call(name, undefined, {
      id: 'd1',
      body: /^P/.test(routes[name].method) ? '{' : undefined,
    })
    assert.deepEqual([name, answer.status, codeOf(answer)], [name, 401, 'OPERATOR_UNKNOWN'])
  }
  const [first] = world.refusalsOnRecord()
  assert.equal(first?.event === 'operator.refuse' && first.reason, 'no_certificate')
})

test('refusals of one kind become one record with their exact count', async (t) => {
  const world = await createWorld(t)
  for (let attempt = 0; attempt < 5; attempt++) await world.call('status', undefined)
  assert.deepEqual(counts(world), [1])
  world.refusals.flush()
  assert.deepEqual(counts(world), [1, 4])
})

test('an operator whom the registry knows is admitted', async (t) => {
  const world = await createWorld(t)
  assert.equal((await world.call('listDevices', await world.operator())).status, 200)
})

test('a certificate that our CA signed and the registry does not know opens nothing', async (t) => {
  const world = await createWorld(t)
  const forged = await createLeaf(world.issuing, 'ada', { at: world.clock.now })
  await refused(world, forged, 'unknown_certificate')
})

test('a certificate of a foreign CA opens nothing, whatever it says', async (t) => {
  const world = await createWorld(t)
  const root = await makeRoot()
  const foreign = await createLeaf(await makeIssuing(root), 'ada', { at: world.clock.now })
  await refused(world, foreign, 'issuer_unknown')
})

test('a certificate that is over opens nothing, on a connection that stays open too', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator('ada', 60)
  assert.equal((await world.call('listDevices', operator)).status, 200)
  world.clock.now += 61_000
  await refused(world, operator, 'expired')
})

test('a device’s certificate is no operator’s', async (t) => {
  const world = await createWorld(t)
  const device = await createLeaf(world.issuing, 'ada', { at: world.clock.now, device: true })
  await refused(world, device, 'identity_invalid')
})

test('case 64: nobody reads the log without the right to, whatever is asked, and the log has who tried', async (t) => {
  const world = await createWorld(t)
  const foreign = await makeIssuing(await makeRoot())
  const expired = await world.operator('bob', 60)
  const strangers = [
    [await createLeaf(world.issuing, 'd1', { at: world.clock.now, device: true }), 'identity_invalid'],
    [await createLeaf(world.issuing, 'ada', { at: world.clock.now }), 'unknown_certificate'],
    [await createLeaf(foreign, 'ada', { at: world.clock.now }), 'issuer_unknown'],
    [expired, 'expired'],
  ] as const
  world.clock.now += 61_000
  for (const [client, reason] of strangers) {
    for (const name of ['searchAudit', 'auditProof', 'auditCheckpoint', 'disclosePayload', 'getPayload'] as const) {
      const answer = await world.call(name, client, { id: '1', query: '?follow=true' })
      assert.deepEqual([name, answer.status, codeOf(answer)], [name, 403, 'OPERATOR_NOT_ADMITTED'])
    }
    const last = world.refusalsOnRecord().at(-1)
    assert.equal(last?.event === 'operator.refuse' && last.reason, reason)
  }
  const read = world.audit.records.filter(({ event }) => event === 'audit.read')
  assert.deepEqual(read, [])
})

test('case 103: headers that a proxy might have set admit nobody, and change nobody’s address', async (t) => {
  const world = await createWorld(t)
  const { cert } = await world.operator()
  const headers = { 'x-forwarded-client-cert': `Cert="${encodeURIComponent(cert)}"`, forwarded: 'for=127.0.0.1' }
  assert.equal((await world.call('listDevices', undefined, { headers })).status, 401)
  const pretending = { forwarded: 'for=203.0.113.9', 'x-forwarded-for': '203.0.113.9', 'x-real-ip': '203.0.113.9' }
  assert.equal((await world.call('createToken', await world.operator(), { headers: pretending, body: {} })).status, 201)
  const made = world.audit.records.find(({ event }) => event === 'token.create')
  assert.match(made && 'peer' in made ? (made.peer ?? '') : '', /^127\.0\.0\.1:/)
})

async function refused(
  world: Awaited<ReturnType<typeof createWorld>>,
  client: Parameters<typeof world.call>[1],
  reason: string,
) {
  const answer = await world.call('listDevices', client)
  assert.deepEqual([answer.status, codeOf(answer)], [403, 'OPERATOR_NOT_ADMITTED'])
  assert.ok(!answer.body.includes(reason), 'the reason is for the log only')
  const last = world.refusalsOnRecord().at(-1)
  assert.equal(last?.event === 'operator.refuse' && last.reason, reason)
}

function counts(world: Awaited<ReturnType<typeof createWorld>>): readonly number[] {
  return world.refusalsOnRecord().map((record) => (record.event === 'operator.refuse' ? record.count : 0))
}

function codeOf(answer: Answer): unknown {
  const problem = answer.json()
  return typeof problem === 'object' && problem !== null && 'code' in problem ? problem.code : undefined
}
