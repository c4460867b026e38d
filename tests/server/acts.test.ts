import assert from 'node:assert/strict'
import test from 'node:test'
import { type AuditEventName, type RouteName, routes } from '#protocol'
import { fingerprintOf } from '#x509'
import { X509Certificate } from 'node:crypto'
import { defaultPolicy } from '#policy'
import { type CallOptions, createWorld } from './world.js'

const comment = 'ticket 4711: "=1+1"\n\u001b[2J'
const query = `?comment=${encodeURIComponent(comment)}`

/** What an operator can do, in an order in which each finds what it needs. */
const acts: readonly (readonly [RouteName, AuditEventName, CallOptions])[] = [
  ['registerDevice', 'device.register', { body: { id: 'd1', ekHash: '12'.repeat(32), comment } }],
  ['labelDevice', 'device.label', { id: 'd1', query, body: { site: 'oslo', comment: 'a-label-like-any-other' } }],
  ['createToken', 'token.create', { body: { device: 'd2', comment } }],
  ['revokeToken', 'token.revoke', { id: 't1', query }],
  ['kickSession', 'session.kick', { id: 'd1~pub', body: { comment } }],
  ['applyPolicy', 'policy.activate', { query, body: newerPolicy(), type: 'application/yaml' }],
  ['rotateAuditKey', 'log.key_rotate', { body: { comment } }],
  ['erasePayloads', 'payload.erase', { body: { day: '2026-02-28', comment } }],
  ['revokeDevice', 'device.revoke', { id: 'd1', body: { reason: 'superseded', comment } }],
]

test('each act of an operator leaves a record of who, with which certificate, what, from where and why', async (t) => {
  const { audit, operator, call } = await openWorld(t)
  const ada = await operator()
  const shown = fingerprintOf(new X509Certificate(ada.cert).raw)
  for (const [name, event, options] of acts) {
    const answer = await call(name, ada, options)
    assert.ok(answer.status < 300, `${name}: ${answer.body}`)
    const record = audit.records.findLast((record) => record.event === event)
    assert.ok(record && 'operator' in record && 'peer' in record && 'comment' in record, name)
    assert.deepEqual([record.operator, record.fingerprint, record.comment], ['ada', shown, comment], name)
    assert.match(record.peer ?? '', /^127\.0\.0\.1:\d+$/, name)
  }
})

test('an act needs no reason but where keys are destroyed, and none is longer than its bound', async (t) => {
  const { audit, operator, call } = await openWorld(t)
  const ada = await operator()
  const withoutReason = ({ body, query: _query, ...options }: CallOptions): CallOptions => {
    if (typeof body !== 'object' || body === null) return { ...options, body }
    return { ...options, body: Object.fromEntries(Object.entries(body).filter(([name]) => name !== 'comment')) }
  }
  const tooLong = 'x'.repeat(1025)
  for (const [name, event, options] of acts) {
    const before = audit.records.length
    const long = JSON.parse(
      JSON.stringify(options).replaceAll(JSON.stringify(comment), JSON.stringify(tooLong)),
    ) as CallOptions
    const { status } = await call(name, ada, {
      ...long,
      ...(options.query !== undefined && { query: `?comment=${tooLong}` }),
    })
    assert.deepEqual([status, audit.records.length], [400, before], `${name} with too much to say`)
    const answer = await call(name, ada, withoutReason(options))
    if (name === 'erasePayloads') assert.equal(answer.status, 400)
    else
      assert.ok(
        answer.status < 300 && !('comment' in (audit.records.findLast((one) => one.event === event) ?? {})),
        name,
      )
  }
})

test('whatever operators can change is tried here', () => {
  const open = ['joinNonce', 'joinToken', 'joinTpm', 'joinTpmActivate', 'renew']
  const asksOnly = ['explainPolicy']
  const changing = Object.entries(routes).flatMap(([name, { method }]) => (method === 'GET' ? [] : [name]))
  const expected = changing.filter((name) => !open.includes(name) && !asksOnly.includes(name))
  assert.deepEqual(acts.map(([name]) => String(name)).toSorted(), expected.toSorted())
})

test('what is wrong with a refused policy is not hidden by the reason that was given for it', async (t) => {
  const { audit, operator, call } = await openWorld(t)
  const refused = await call('applyPolicy', await operator(), { query, body: 'nonsense', type: 'application/yaml' })
  assert.equal(refused.status, 422)
  const record = audit.records.findLast((record) => record.event === 'policy.refuse')
  assert.deepEqual([record?.operator, record?.comment?.includes('4711')], ['ada', false])
})

/** With a session to end. */
async function openWorld(t: Parameters<typeof createWorld>[0]) {
  const world = await createWorld(t)
  const traffic = { in: 0, out: 0 }
  world.sessions.push({
    ...{ session: 's1', device: await world.device('d0'), clientId: 'd1~pub', connected: true, subscriptions: [] },
    ...{ since: '2026-03-01T12:00:00.000Z', peer: '192.0.2.1:1', queued: 0, queuedBytes: 0 },
    ...{ rates: traffic, messages: traffic, bytes: traffic },
  })
  return world
}

function newerPolicy(): string {
  return defaultPolicy.replace('version: 1 ', 'version: 2 ')
}
