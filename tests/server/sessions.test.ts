import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type DeviceId, parseDeviceId, type Problem, type SessionView } from '#protocol'
import { createWorld } from './world.js'

test('an operator kicks a session; the record of it is on disk before it acts', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  world.sessions.push(sessionOf('d1', { queued: 4 }))
  world.audit.hold()
  const kicking = world.call('kickSession', operator, { id: 'd1~pub', body: { comment: 'noisy' } })
  while (!world.audit.records.some(({ event }) => event === 'session.kick')) await turn()
  assert.deepEqual(world.kicked, [])
  world.audit.release()
  const expected = { clientId: 'd1~pub', device: 'd1', ended: true, forgotten: false, purged: 0 }
  assert.deepEqual((await kicking).json(), expected)
  assert.deepEqual(world.kicked, ['d1~pub'])
  const record = world.audit.records.at(-1)
  assert.ok(record?.event === 'session.kick')
  assert.deepEqual(
    [record.operator, record.device, record.session, record.forget, record.comment],
    ['ada', 'd1', '00000000000000000001', false, 'noisy'],
  )
})

test('what cannot be recorded is not done', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  world.sessions.push(sessionOf('d1'))
  world.audit.fail()
  assert.equal((await world.call('kickSession', operator, { id: 'd1~pub', body: {} })).status, 503)
  assert.deepEqual(world.kicked, [])
})

test('one that is away can only be forgotten, and one that is not there is not found', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  world.sessions.push(sessionOf('d1', { connected: false, queued: 4 }))
  const kick = async (id: string, body: unknown) => {
    const answer = await world.call('kickSession', operator, { id, body })
    return answer.status < 400 ? answer.json() : (answer.json() as Problem).code
  }
  assert.equal(await kick('d1~pub', {}), 'SESSION_AWAY')
  assert.deepEqual(await kick('d1~pub', { forget: true }), {
    ...{ clientId: 'd1~pub', device: 'd1' },
    ...{ ended: false, forgotten: true, purged: 4 },
  })
  assert.equal(await kick('d2', {}), 'NOT_FOUND')
  for (const hostile of ['a%2fb', '..', '.~a', 'd~', 'd~a~b', 'd%00']) {
    assert.match(String(await kick(hostile, {})), /REQUEST_INVALID|ROUTE_UNKNOWN/, hostile)
  }
  assert.equal(await kick('d1~pub', { forgot: true }), 'REQUEST_INVALID')
})

test('sessions are found by the labels of their device and by how they are', async (t) => {
  const world = await createWorld(t)
  const operator = await world.operator()
  const oslo = { id: 'd1', ekHash: '12'.repeat(32), labels: { site: 'oslo' } }
  await world.call('registerDevice', operator, { body: oslo })
  const lastRefusal = { at: '2026-03-01T12:00:00.000Z', action: 'publish', topic: 'a', reason: 'no_rule' } as const
  world.sessions.push(
    sessionOf('d1', { queued: 2 }),
    sessionOf('d2', { connected: false }),
    sessionOf('d3', { lastRefusal }),
  )
  const found = async (query: string) => {
    const answer = await world.call('listSessions', operator, { query: `?q=${encodeURIComponent(query)}` })
    return answer.status === 200 ? (answer.json() as SessionView[]).map(({ device }) => device) : answer.status
  }
  assert.deepEqual(await found('label.site=oslo'), ['d1'])
  assert.deepEqual(await found('is:online'), ['d1', 'd3'])
  assert.deepEqual(await found('-is:online'), ['d2'])
  assert.deepEqual(await found('is:online -is:refused'), ['d1'])
  assert.deepEqual(await found('is:waiting'), ['d1'])
  assert.equal(await found('is:revoked'), 400)
})

function sessionOf(device: string, more: Partial<SessionView> = {}): SessionView {
  const id: DeviceId = parseDeviceId(device)
  return {
    ...{ session: device.slice(1).padStart(20, '0'), device: id, clientId: `${device}~pub`, connected: true },
    ...{ since: '2026-03-01T12:00:00.000Z', peer: '192.0.2.1:1', subscriptions: [] },
    ...{ rates: { in: 0, out: 0 }, messages: { in: 0, out: 0 }, bytes: { in: 0, out: 0 } },
    ...{ queued: 0, queuedBytes: 0, ...more },
  }
}
