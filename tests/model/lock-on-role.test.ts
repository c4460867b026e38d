import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { parseLockId } from '#protocol'
import { heard, join, publishAll, subscribe } from '../broker/conformance/peer.js'
import { until } from '../broker/harness.js'
import { judge } from './judge.js'
import type { ModelPolicy } from './policies.js'
import { by, openService } from './service.js'

const speaking = { id: 'say', actions: ['publish', 'will'], topics: ['t/#', 'last/one'], qos: { max: 1 } } as const
const hearing = { id: 'hear', actions: ['subscribe', 'receive'], topics: ['t/#'], qos: { max: 1 } } as const

/** All hear and say `t/#`; with the second version nobody hears it, and the role that is locked is d1's. */
function policyOf(version: 1 | 2): ModelPolicy {
  const policy = {
    apiVersion: 'touchmark/v1',
    kind: 'TopicPolicy',
    metadata: { name: 'model', version },
    onOverlap: 'filter',
    roles: {
      all: { sessions: { max: 3 - version }, allow: version === 1 ? [speaking, hearing] : [speaking] },
      out: { allow: [speaking] },
    },
    bindings: [
      { role: 'all', match: { tier: 'tpm' } },
      { role: 'out', match: { ids: [version === 1 ? 'nobody' : 'd1'] } },
    ],
  } as const
  return policy
}

test('what a lock on a role takes back makes room for nothing that the new policy forbids', async (t) => {
  const { service, policies } = await openLocked(t)
  const { world } = service
  const listener = await join(world, 'd2', 5, { properties: { receiveMaximum: 1 } })
  const [filler, speaker] = [await join(world, 'd3', 5), await join(world, 'd1', 5)]
  await subscribe(listener, ['t/#', 1])
  listener.socket.pause()
  const payload = 'x'.repeat(60_000)
  await publishAll(filler, ...Array.from({ length: 30 }, () => ['t/fill', payload, { qos: 0 }] as const)) // its socket is full
  await publishAll(speaker, ['t/x', 'gone', { qos: 1 }])
  await publishAll(filler, ['t/x', 'after', { qos: 1 }])
  await until(() => world.broker.sessions().some(({ clientId, queued }) => clientId === 'd2' && queued > 0))

  await service.policy.apply(JSON.stringify(policies.get(2)), { file: 'p.json', dryRun: false, by })
  listener.socket.resume()
  await listener.ping()
  assert.deepEqual(judge(world.audit.records, { policies, correlationOf: () => ({}), noticedAt: () => 0 }).wrong, [])
  assert.ok(!heard(listener).includes('after'))
})

test('a policy that locks somebody by role and ends its session does not set its will free', async (t) => {
  const { service, policies } = await openLocked(t)
  const { world } = service
  const listener = await join(world, 'd2', 5)
  await subscribe(listener, ['t/#', 1])
  await join(world, 'd1~second', 5, { will: { topic: 't/will', payload: Buffer.from('gone'), qos: 1, retain: false } })
  await service.policy.apply(JSON.stringify(policies.get(2)), { file: 'p.json', dryRun: false, by })
  assert.deepEqual(world.records('message.publish'), [])
  assert.deepEqual(
    world.records('session.end').map(({ device, reason }) => [device, reason]),
    [['d1', 'locked']],
  )
})

/** Nobody has the role that is locked, yet. */
async function openLocked(t: TestContext) {
  const policies = new Map([1, 2].map((version) => [version, policyOf(version === 1 ? 1 : 2)]))
  const service = await openService(t, ['d1', 'd2', 'd3'], JSON.stringify(policies.get(1)))
  const order = { lock: parseLockId('l1'), target: { role: 'out' }, mode: 'lock', reason: 'a test' } as const
  await service.registry.addLock(order, by).recorded
  return { service, policies }
}
