import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { parseDeviceId, parseLockId } from '#protocol'
import { heard, subscribe } from '../broker/conformance/peer.js'
import { publishPacket, type RawClient, until } from '../broker/harness.js'
import { by, openService } from './service.js'

/* Attack case 98: what changes under a live session, with the registry, the policy and the broker as the server wires them. */

const d1 = parseDeviceId('d1')
const limit = Date.now() + 60_000

const policy = `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: live, version: 1 }
onDenyPublish: drop
roles:
  sited:
    allow:
      - { id: say, actions: [publish], topics: ["s/\${device.labels.site}/#"], rate: { messages: 1, per: 1h, burst: 2 } }
      - { id: hear, actions: [subscribe, receive], topics: ["s/\${device.labels.site}/#"] }
  shift:
    allow:
      - { id: hear, actions: [subscribe, receive], topics: ["shift/#"] }
bindings:
  - { role: sited, match: { tier: tpm } }
  - { role: shift, match: { tier: tpm }, when: { notAfter: ${new Date(limit).toISOString()} } }
`

test('case 98: other labels take rights away from a live session and give it others, without a reconnect', async (t) => {
  const { service, client } = await openLive(t)
  assert.deepEqual((await subscribe(client, ['s/oslo/#', 1])).granted, [1])
  await service.registry.labelDevice(d1, { site: 'rome' }, by)
  assert.deepEqual(service.world.broker.sessions()[0]?.subscriptions, [])
  assert.deepEqual((await subscribe(client, ['s/oslo/#', 1], ['s/rome/#', 1])).granted, [0x80, 1])
  await publish(client, 's/oslo/x')
  await publish(client, 's/rome/x')
  await client.next('publish')
  assert.deepEqual([heard(client), client.socket.destroyed], [['s/rome/x'], false])
})

test('case 98: neither a reconnect nor other labels fill a rate bucket', async (t) => {
  const { service, client } = await openLive(t)
  for (let sent = 0; sent < 3; sent++) await publish(client, 's/oslo/x')
  client.socket.destroy()
  await client.closed
  const back = await service.world.raw('d1')
  await back.connect('d1')
  await publish(back, 's/oslo/x')
  await service.registry.labelDevice(d1, { site: 'rome' }, by)
  await publish(back, 's/rome/x')
  assert.deepEqual(
    service.world.records('message.publish').map(({ decision, reason }) => reason ?? decision),
    ['allow', 'allow', 'rate', 'rate', 'rate'],
  )
})

test('case 98: a lock ends a live session, and a time limit takes what it granted, at that moment', async (t) => {
  const { service, client } = await openLive(t)
  assert.deepEqual((await subscribe(client, ['shift/#', 1], ['s/oslo/#', 1])).granted, [1, 1])
  service.world.clock = limit
  await until(() => service.world.broker.sessions()[0]?.subscriptions.length === 1)
  await client.ping()
  const order = { lock: parseLockId('l1'), target: { device: d1 }, mode: 'lock', reason: 'stolen' } as const
  await service.registry.addLock(order, by).recorded
  assert.deepEqual(service.world.broker.sessions(), [])
  await client.closed
})

async function openLive(t: TestContext) {
  const service = await openService(t, ['d1'], policy)
  await service.registry.labelDevice(d1, { site: 'oslo' }, by)
  const client = await service.world.raw('d1')
  await client.connect('d1')
  return { service, client }
}

/** Publishes its own name, and waits for the answer. */
async function publish(client: RawClient, topic: string): Promise<void> {
  const nth = client.all('puback').length + 1
  client.send(publishPacket(topic, topic, { qos: 1, messageId: nth }))
  await client.next('puback', nth)
}
