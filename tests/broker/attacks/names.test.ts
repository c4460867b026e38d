import assert from 'node:assert/strict'
import test from 'node:test'
import { heard, subscribe } from '../conformance/peer.js'
import { device, makeWorld, policySource, publishPacket, until } from '../harness.js'

/* Attack case 33: names that would mean something in a filter, a path or a pattern. */

const strange = ['+', '#', 'a/b', '$SYS', '*', '.*', '${device.id}', 'd1/#', '..', 'd1\0', 'x'.repeat(65)]

test('case 33: a certificate that names such a device opens nothing, whoever signed it', async (t) => {
  const world = await makeWorld(t)
  for (const name of strange) {
    const client = await world.raw(name)
    assert.equal((await client.connect('d1')).returnCode, 5, name)
    await client.closed
  }
  world.clock += 11_000
  await until(() => world.records('session.refuse').reduce((sum, { count }) => sum + count, 0) === strange.length)
  assert.ok(world.records('session.refuse').every(({ reason }) => reason === 'identity_invalid'))
  assert.equal(world.records('session.connect').length, 0)
})

test('case 33: a label that is no single word is filled in nowhere: its role gives nothing, also to a live session', async (t) => {
  const byLabel = policySource('onDenyPublish: drop').replaceAll('${device.id}', '${device.labels.site}')
  const world = await makeWorld(t, { policy: byLabel })
  const labelled = (site: string) => world.labels.set(device('d1'), { kind: 'device', site })
  labelled('oslo')
  const client = await world.raw('d1')
  await client.connect('d1')
  assert.deepEqual((await subscribe(client, ['f/oslo/#', 1])).granted, [1])
  let sent = 0
  for (const site of strange) {
    labelled(site)
    await world.broker.policyChanged()
    for (const topic of ['f/oslo/x', 'f/a/b', 'open/x']) {
      client.send(publishPacket(topic, site, { qos: 1, messageId: ++sent }))
      await client.next('puback', sent)
    }
    assert.deepEqual((await subscribe(client, ['f/oslo/#', 1], ['#', 1], ['f/+/x', 1])).granted, [0x80, 0x80, 0x80])
  }
  assert.deepEqual(
    [heard(client), new Set(world.records('message.publish').map(({ decision }) => decision))],
    [[], new Set(['deny'])],
  )
  labelled('oslo')
  await world.broker.policyChanged()
  assert.deepEqual((await subscribe(client, ['f/oslo/#', 1])).granted, [1])
})
