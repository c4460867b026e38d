import assert from 'node:assert/strict'
import test from 'node:test'
import { createWorld } from './world.js'

const strange = [
  '+',
  '#',
  'a/b',
  '$SYS',
  '*',
  '.*',
  '${device.id}',
  '..',
  'd1\0',
  'x'.repeat(65),
  'x'.repeat(64 * 1024),
]

test('case 33: no device, label or token gets a name that would mean something in a filter', async (t) => {
  const world = await createWorld(t)
  const ada = await world.operator()
  const ekHash = 'ab'.repeat(32)
  await world.device('d1')
  const events = world.audit.records.length
  for (const name of strange) {
    const tried = [
      await world.call('registerDevice', ada, { body: { id: name, ekHash } }),
      await world.call('registerDevice', ada, { body: { id: 'd2', ekHash, labels: { site: name } } }),
      await world.call('registerDevice', ada, { body: { id: 'd2', ekHash, labels: { [name]: 'oslo' } } }),
      await world.call('labelDevice', ada, { id: 'd1', body: { labels: { site: name } } }),
      await world.call('createToken', ada, { body: { device: name } }),
      await world.call('createToken', ada, { body: { labels: { site: name } } }),
    ]
    for (const { status, body } of tried) {
      assert.ok(status === 400 || status === 413, `${JSON.stringify(name.slice(0, 12))}: ${body}`)
    }
  }
  assert.deepEqual(
    world.registry.devices().map(({ id, labels }) => [id, labels]),
    [['d1', {}]],
  )
  assert.deepEqual([world.registry.tokens(), world.audit.records.length], [[], events])
})
