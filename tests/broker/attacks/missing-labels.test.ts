import assert from 'node:assert/strict'
import test from 'node:test'
import { device, makeWorld, publishPacket, subscribePacket } from '../harness.js'

const policy = (deny: string) => `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: test, version: 1 }
onDenyPublish: drop
roles:
  own:
    allow:
      - { id: all, actions: [publish, subscribe, receive], topics: ["open/#"] }
  zoned:
    allow:
      - { id: zone, actions: [publish], topics: ["zone/\${device.labels.zone}/#"] }
    deny:
      - ${deny}
bindings:
  - { role: own, match: { tier: tpm } }
  - { role: zoned, match: { tier: tpm } }
`

test('case 93: where a deny needs a label that the device lacks it has no rights at all, from no role, until it has the label', async (t) => {
  const world = await makeWorld(t, {
    policy: policy('{ id: never, actions: [publish], topics: ["open/${device.labels.zone}"] }'),
  })
  const client = await world.raw('d1')
  await client.connect('d1')
  const tries = async (nth: number) => {
    client.send(subscribePacket(nth, ['open/#', 1]), publishPacket(`open/${nth}`, 'x', { qos: 1, messageId: nth }))
    const [{ granted }] = [await client.next('suback', nth), await client.next('puback', nth)]
    return [granted, world.records('message.publish').at(-1)?.decision]
  }
  assert.deepEqual(await tries(1), [[0x80], 'deny'])
  world.labels.set(device('d1'), { zone: '4' })
  await world.broker.policyChanged()
  assert.deepEqual(await tries(2), [[1], 'allow'])
  world.labels.set(device('d1'), {})
  await world.broker.policyChanged()
  assert.deepEqual(await tries(3), [[0x80], 'deny'])
  assert.deepEqual(world.broker.sessions()[0]?.subscriptions, [])
})

test('case 93: who may not subscribe to a topic does not hear it either, through a wider filter', async (t) => {
  const world = await makeWorld(t, {
    policy: policy('{ id: never, actions: [subscribe], topics: ["open/secret"] }'),
  })
  const [listener, speaker] = [await world.raw('d1'), await world.raw('d2')]
  await listener.connect('d1')
  await speaker.connect('d2')
  listener.send(subscribePacket(1, ['open/secret', 0], ['open/#', 0]))
  assert.deepEqual((await listener.next('suback')).granted, [0x80, 0])
  speaker.send(publishPacket('open/secret', 'x'), publishPacket('open/x', 'x'))
  assert.equal((await listener.next('publish')).topic, 'open/x')
  const [withheld] = world.records('message.deliver')
  assert.deepEqual([withheld?.topic, withheld?.decision, withheld?.reason], ['open/secret', 'deny', 'denied'])
})
