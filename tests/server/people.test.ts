import assert from 'node:assert/strict'
import test from 'node:test'
import { type Problem, type Route, type RouteName, routes } from '#protocol'
import { policyFor } from './policies.js'
import { type Answer, createWorld } from './world.js'

test('without people in the policy nobody but the local admin may do anything', async (t) => {
  const world = await createWorld(t)
  const eve = await world.operator('eve')
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) {
    if (!('act' in route) || route.act === 'own') continue
    const { status, code, detail } = problemOf(await world.call(name, eve, { id: 'd1', body: bodyFor(route.method) }))
    assert.deepEqual([name, status, code], [name, 403, 'ACT_NOT_ALLOWED'])
    assert.ok(detail?.includes(route.act), 'an operator who is known may know what it takes')
  }
})

test('every refusal of an operator stands in the log with who, what and from where, once for many alike', async (t) => {
  const world = await createWorld(t)
  const eve = await world.operator('eve')
  for (let attempt = 0; attempt < 3; attempt++) await world.call('listDevices', eve)
  await world.call('listTokens', eve)
  world.refusals.flush()
  assert.deepEqual(
    world.refusalsOnRecord().map(({ reason, operator, act, method, count }) => [reason, operator, act, method, count]),
    [
      ['act_not_allowed', 'eve', 'devices.read', 'GET /v1/devices', 1],
      ['act_not_allowed', 'eve', 'tokens.read', 'GET /v1/tokens', 1],
      ['act_not_allowed', 'eve', 'devices.read', 'GET /v1/devices', 2],
    ],
  )
  assert.match(world.refusalsOnRecord()[0]?.fingerprint ?? '', /^[0-9a-f]{64}$/)
})

test('a policy gives an operator its acts at once, on a connection that is open too, and takes them again', async (t) => {
  const world = await createWorld(t)
  const [ada, bob] = [await world.operator(), await world.operator('bob')]
  const apply = (source: string) => world.call('applyPolicy', ada, { body: source, type: 'application/yaml' })
  assert.equal((await world.call('listDevices', bob)).status, 403)
  assert.equal((await apply(policyFor(['devices.read']))).status, 200)
  assert.equal((await world.call('listDevices', bob)).status, 200)
  assert.equal((await world.call('listTokens', bob)).status, 403)
  await apply(policyFor(['tokens.read'], {}, 3))
  assert.equal((await world.call('listDevices', bob)).status, 403)
  assert.equal((await world.call('listTokens', bob)).status, 200)
})

test('a policy whose people cannot be read opens nothing: the one before stays in force', async (t) => {
  const world = await createWorld(t)
  const [ada, bob] = [await world.operator(), await world.operator('bob')]
  const apply = (source: string) => world.call('applyPolicy', ada, { body: source, type: 'application/yaml' })
  await apply(policyFor(['devices.read']))
  const broken = await apply(policyFor(['devices.*', 'everything'], {}, 3))
  assert.deepEqual([broken.status, problemOf(broken).code], [422, 'POLICY_INVALID_VALUE'])
  assert.equal((await world.call('listDevices', bob)).status, 200)
  assert.equal((await world.call('listTokens', bob)).status, 403)
})

test('nobody takes the right to apply policies from himself, and another who has it can', async (t) => {
  const world = await createWorld(t)
  const [ada, bob] = [await world.operator(), await world.operator('bob')]
  const apply = (source: string, by = bob) => world.call('applyPolicy', by, { body: source, type: 'application/yaml' })
  await apply(policyFor(['policy.*']), ada)
  const own = await apply(policyFor(['policy.read'], {}, 3))
  assert.deepEqual([own.status, problemOf(own).code], [409, 'POLICY_LOCKS_OUT'])
  assert.equal((await apply(policyFor(['policy.apply', 'devices.read'], {}, 3))).status, 200)
  assert.equal((await apply(policyFor(['devices.read'], {}, 4), ada)).status, 200)
  assert.equal((await apply(policyFor(['*'], {}, 5))).status, 403)
})

function bodyFor(method: string): object | undefined {
  return /^P/.test(method) ? {} : undefined
}

function problemOf(answer: Answer): Problem {
  return answer.json() as Problem
}
