import assert from 'node:assert/strict'
import test from 'node:test'
import { loadSessions } from '../../../broker/storage/stored.js'
import { cut, join, lasting, makeOpenWorld, publishAll, subscribe } from '../conformance/peer.js'

test('a message that waits for many comes back as one, and not once for each', async (t) => {
  const world = await makeOpenWorld(t)
  for (const name of ['d2', 'd3']) {
    const client = await join(world, name, 5, lasting(5))
    await subscribe(client, ['t/#', 1])
    await cut(world, client)
  }
  const speaker = await join(world, 'd1', 5)
  const properties = { messageExpiryInterval: 60, userProperties: { a: 'b' } }
  await publishAll(speaker, ['t/x', 'same', { qos: 1, properties }], ['t/x', 'same', { qos: 1 }])

  const [one, other, ...more] = await loadSessions(world.store, clocksOf(world))
  assert.deepEqual(more, [])
  assert.equal(one?.messages.length, 2)
  const messages = one.messages.map(({ message }) => message)
  assert.notEqual(messages[0], messages[1], 'two messages that read the same stay two')
  other?.messages.forEach(({ message }, at) => assert.equal(message, messages[at]))
})

test('messages whose publishes went without a record come back each as it was, though they read the same', async (t) => {
  const world = await makeOpenWorld(t)
  const { audit } = world
  const away = await join(world, 'd2', 5, lasting(5))
  await subscribe(away, ['t/#', 1])
  await cut(world, away)
  const append = audit.append.bind(audit)
  t.mock.method(audit, 'append', (event: Parameters<typeof append>[0]) => Math.min(append(event), -1))
  const speaker = await join(world, 'd1', 5)
  const [brief, long] = [10, 1000].map((messageExpiryInterval) => ({ messageExpiryInterval }))
  await publishAll(
    speaker,
    ['t/x', 'same', { qos: 1, properties: brief }],
    ['t/x', 'same', { qos: 1, properties: long }],
  )

  const [stored] = await loadSessions(world.store, clocksOf(world))
  assert.deepEqual(
    stored?.messages.map(({ message }) => (message.expiresAt ?? 0) - world.clock),
    [10_000, 1_000_000],
  )
})

const clocksOf = (world: { readonly clock: number }) => ({ now: () => world.clock, elapsed: () => world.clock })
