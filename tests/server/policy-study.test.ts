import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:https'
import test from 'node:test'
import { type DeviceId, type PolicyImpact, type PolicySuggestion, routes } from '#protocol'
import { defaultPolicy, parsePolicy } from '#policy'
import { type Answer, createWorld } from './world.js'

const narrower = defaultPolicy.replace('devices/${device.id}/telemetry/#', 'devices/${device.id}/telemetry/+')

test('a policy that is tried is held against what the log says, and nothing is changed', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  const device = await world.device('d1')
  for (const topic of ['telemetry/a', 'telemetry/a/b', 'telemetry/a/b']) publish(world, device, `devices/d1/${topic}`)
  publish(world, 'd9' as DeviceId, 'devices/d9/state')

  const answer = await world.call('shadowPolicy', operator, { ...yaml(narrower), query: '?file=plant.yaml' })
  const impact = impactOf(answer)
  const { judged, lose, gain, unknownDevices, read } = impact.decisions
  assert.deepEqual(
    { judged, lose, gain, unknownDevices, read },
    {
      ...{ judged: 3, lose: 2, gain: 0, unknownDevices: 1, read: 4 },
    },
  )
  assert.deepEqual(impact.devices, { gain: 0, lose: 1 })
  const [change] = impact.changes
  assert.deepEqual([change?.count, change?.topic], [2, 'devices/${device.id}/telemetry/a/b'])
  assert.deepEqual([change?.now.at, change?.then.at], ['policy.yaml:25:9', 'plant.yaml:25:9'])
  assert.equal(world.policy.view.source, defaultPolicy)
})

test('only so many decisions are asked again, the newest', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  const device = await world.device('d1')
  for (let at = 0; at < 20; at++) publish(world, device, `devices/d1/telemetry/a/${at}`)
  const impact = impactOf(await world.call('shadowPolicy', operator, { ...yaml(narrower), query: '?decisions=5' }))
  assert.deepEqual([impact.decisions.asked, impact.decisions.read, impact.decisions.lose], [5, 5, 5])
  assert.deepEqual(
    impact.changes
      .map(({ example }) => example.topic)
      .sort()
      .at(0),
    'devices/d1/telemetry/a/15',
  )
})

test('who holds a policy against the log reads the log, and stands there', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  await world.call('shadowPolicy', operator, { ...yaml(narrower), query: '?decisions=5' })
  const read = world.audit.records.find((record) => record.event === 'audit.read')
  assert.deepEqual(read?.event === 'audit.read' && [read.operator, read.query], ['ada', 'last 5 decisions'])
})

test('what cannot be tried is refused with a code: a policy that is none, too many decisions, too much text', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  const refusals = [
    [yaml('roles: ['), '', 422, 'POLICY_SYNTAX'],
    [yaml(''), '', 422, 'POLICY_EMPTY'],
    [yaml('- 1'), '', 422, 'POLICY_INVALID_VALUE'],
    [yaml(narrower), '?decisions=0', 400, 'REQUEST_INVALID'],
    [yaml(narrower), '?decisions=100001', 400, 'REQUEST_INVALID'],
    [yaml(narrower), '?decision=1', 400, 'REQUEST_INVALID'],
    [yaml(`${narrower}${'#'.repeat(300_000)}`), '', 413, 'REQUEST_TOO_LARGE'],
  ] as const
  for (const [body, query, status, code] of refusals) {
    const answer = await world.call('shadowPolicy', operator, { ...body, query })
    assert.deepEqual([answer.status, (answer.json() as { code: string }).code], [status, code])
  }
})

test('where the log cannot be read to its end, the last line says so, and there is no answer', async (t) => {
  const world = await createWorld(t, {
    studyPolicy: ({ leaving: signal }) => ({
      ...{ now: () => 0, elapsed: () => 0, signal },
      inForce: () => world.policy.view,
      read: (source, file) => world.policy.read(source, file),
      ...{ devices: () => [], attributesOf: () => undefined },
      liveSessions: () => [],
      search: () => broken(),
    }),
  })
  const answer = await world.call('shadowPolicy', await world.operator(), yaml(narrower))
  const last = answer.body.trimEnd().split('\n').at(-1)
  assert.equal(answer.status, 200)
  assert.match(last ?? '', /^\{"problem":.*"code":"INTERNAL"/)
  assert.doesNotMatch(answer.body, /"answer"/)
})

test('the work ends when the one who asked has gone', async (t) => {
  const clock = { elapsed: 0 }
  let end = (): void => undefined
  const ended = new Promise<void>((resolve) => (end = resolve))
  async function* endless(): AsyncGenerator<string, void> {
    try {
      for (;;) yield '{"event":"server.start"}\n'
    } finally {
      end()
    }
  }
  const world = await createWorld(t, {
    studyPolicy: ({ leaving: signal }) => ({
      ...{ now: () => 0, elapsed: () => (clock.elapsed += 1), signal },
      inForce: () => world.policy.view,
      read: (source, file) => world.policy.read(source, file),
      ...{ devices: () => [], attributesOf: () => undefined },
      liveSessions: () => [],
      search: endless,
    }),
  })
  const operator = await world.operator()
  const { method, path } = routes.shadowPolicy
  const { port, ca } = world
  const asking = request({
    ...{ host: '127.0.0.1', servername: 'localhost', port, ca, method, path, cert: operator.cert, key: operator.key },
    headers: { 'content-type': 'application/yaml' },
  })
  asking.on('error', () => undefined)
  asking.end(narrower)
  const [response] = (await once(asking, 'response')) as [NodeJS.ReadableStream]
  await once(response, 'data')
  assert.equal((await world.call('listDevices', operator)).status, 200) // others are heard meanwhile
  asking.destroy()
  await ended
})

test('what devices did becomes a proposal with what it rests on, and nothing is changed', async (t) => {
  const world = await createWorld(t)
  const device = await world.device('d1')
  publish(world, device, 'devices/d1/state')
  world.clock.now += 40 * 86_400_000
  const operator = await world.operator()
  for (let at = 0; at < 3; at++) publish(world, device, 'devices/d1/telemetry/heat')
  publish(world, 'd9' as DeviceId, 'devices/d9/state')

  const answer = await world.call('suggestPolicy', operator, { query: '?role=device&days=30' })
  const suggestion = lastAnswer<PolicySuggestion>(answer)
  const { allowed, unknownDevices, logBegins, days } = suggestion.looked
  assert.deepEqual(
    { allowed, unknownDevices, logBegins, days },
    {
      ...{ allowed: 3, unknownDevices: 1, logBegins: undefined, days: 30 },
    },
  )
  assert.deepEqual(
    suggestion.rules.map(({ rule, proposal, topics }) => [rule, proposal, ...topics]),
    [
      ['device/commands', 'remove'],
      ['device/state', 'remove'],
      ['device/telemetry', 'narrow', 'devices/${device.id}/telemetry/heat'],
    ],
  )
  assert.match(suggestion.diff, /^\+ {8}topics: .*devices\/\$\{device\.id\}\/telemetry\/heat/m)
  assert.equal(parsePolicy(suggestion.source, 'proposal.yaml').version, 2)
  assert.equal(world.policy.view.source, defaultPolicy)
})

test('a log that does not go back so far is said to begin where it does; a role that there is not, and odd days, are refused', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  publish(world, await world.device('d1'), 'devices/d1/state')
  const { looked } = lastAnswer<PolicySuggestion>(await world.call('suggestPolicy', operator))
  assert.equal(looked.logBegins, new Date(world.clock.now).toISOString())
  for (const [query, status] of [
    ['?role=nobody', 404],
    ['?days=0', 400],
    ['?days=10000', 400],
    ['?day=1', 400],
  ] as const) {
    assert.equal((await world.call('suggestPolicy', operator, { query })).status, status, query)
  }
  const read = world.audit.records.find((record) => record.event === 'audit.read')
  assert.match(read?.event === 'audit.read' ? read.query : '', /^since:2026-01-30T12:00:00/)
})

type World = Awaited<ReturnType<typeof createWorld>>

function publish({ audit }: World, device: DeviceId, topic: string): void {
  audit.append({
    ...{ event: 'message.publish', device, session: '00'.repeat(10), sessionIndex: 0, topic },
    ...{ decision: 'allow', rules: ['device/telemetry'], policyVersion: 1, action: 'publish' },
    ...{ qos: 0, retain: false, dup: false, size: 1, recipients: 0 },
  })
}

function yaml(body: string) {
  return { body, type: 'application/yaml' }
}

function impactOf(answer: Answer): PolicyImpact {
  return lastAnswer(answer)
}

function lastAnswer<T>({ status, body }: Answer): T {
  assert.equal(status, 200, body)
  const last = JSON.parse(body.trimEnd().split('\n').at(-1) ?? '') as { answer: T }
  return last.answer
}

async function* broken(): AsyncGenerator<string, void> {
  yield '{"event":"server.start"}\n'
  throw new Error('the disk is gone')
}
